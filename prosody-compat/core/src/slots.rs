//! What modules remember: a module's own type in, its value out. So a room does not know its modules.

use std::any::Any;

/// One value per type. There are few, so they are looked for one after the other.
#[derive(Default)]
pub(crate) struct Slots(Vec<Box<dyn Any + Send>>);

impl Slots {
    /// The module's value, if it ever wrote one.
    pub(crate) fn get<T: Any>(&self) -> Option<&T> {
        self.0.iter().find_map(|v| v.downcast_ref())
    }

    /// The module's value to be changed, if it ever wrote one.
    pub(crate) fn get_mut<T: Any>(&mut self) -> Option<&mut T> {
        self.0.iter_mut().find_map(|v| v.downcast_mut())
    }

    /// The module's value to be changed, made now if there was none.
    pub(crate) fn entry<T: Any + Default + Send>(&mut self) -> &mut T {
        self.entry_with(T::default)
    }

    /// The same for what needs to be told how.
    pub(crate) fn entry_with<T: Any + Send>(&mut self, make: impl FnOnce() -> T) -> &mut T {
        let at = self.0.iter().position(|v| v.is::<T>()).unwrap_or(self.0.len());
        if at == self.0.len() {
            self.0.push(Box::new(make()));
        }
        match self.0.get_mut(at).and_then(|v| v.downcast_mut()) {
            Some(value) => value,
            None => unreachable!("just found or made"),
        }
    }

    /// Replaces the module's value.
    pub(crate) fn put<T: Any + Send>(&mut self, value: T) {
        match self.get_mut::<T>() {
            Some(old) => *old = value,
            None => self.0.push(Box::new(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_module_has_its_own_value() {
        let mut slots = Slots::default();
        assert_eq!(slots.get::<u32>(), None);
        *slots.entry::<u32>() = 7;
        slots.entry::<String>().push('x');
        *slots.entry::<u32>() += 1;
        assert_eq!((slots.get::<u32>(), slots.get::<String>().map(String::as_str)), (Some(&8), Some("x")));
        slots.put(9_u32);
        slots.put(1_i8);
        assert_eq!((slots.get::<u32>(), slots.get::<i8>()), (Some(&9), Some(&1)));
    }
}

//! Closed sets of words on the wire: a text in, a variant out, and back.

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// From the word on the wire.
            pub fn parse(s: &str) -> Option<Self> {
                match s { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

pub(crate) use words;

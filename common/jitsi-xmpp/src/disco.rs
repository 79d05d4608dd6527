//! Service discovery (XEP-0030) and the capabilities hash over it (XEP-0115): queries in and out.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::forms::{Form, FormKind};
use crate::ns;
use crate::parse::{ParseError, expect, required};
use crate::xml::Element;

/// `identity`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// `component`, `server` …
    pub category: String,
    /// `speakerstats`, `im` …
    pub kind: String,
    /// `xml:lang`.
    pub lang: Option<String>,
    /// For people; for Jitsi's components their address.
    pub name: Option<String>,
}

/// `query` of disco#info.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DiscoInfo {
    /// Which part of the entity.
    pub node: Option<String>,
    /// What it is.
    pub identities: Vec<Identity>,
    /// What it can do.
    pub features: Vec<String>,
    /// More about it.
    pub forms: Vec<Form>,
}

impl Identity {
    /// An identity without language.
    pub fn new(category: &str, kind: &str, name: Option<&str>) -> Self {
        Self {
            category: category.to_owned(),
            kind: kind.to_owned(),
            lang: None,
            name: name.map(str::to_owned),
        }
    }
}

impl DiscoInfo {
    /// A request's payload.
    pub fn query(node: Option<&str>) -> Element {
        Element::new("query", ns::DISCO_INFO).with_opt_attr("node", node)
    }

    /// Reads `query`. Malformed identities and forms are left out.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        expect(e, "query", ns::DISCO_INFO)?;
        let identity = |i: &Element| {
            Ok::<_, ParseError>(Identity {
                category: required(i, "identity", "category")?.to_owned(),
                kind: required(i, "identity", "type")?.to_owned(),
                lang: i.attr("xml:lang").map(str::to_owned),
                name: i.attr("name").map(str::to_owned),
            })
        };
        Ok(Self {
            node: e.attr("node").map(str::to_owned),
            identities: e.children_of("identity", ns::DISCO_INFO).filter_map(|i| identity(i).ok()).collect(),
            features: e
                .children_of("feature", ns::DISCO_INFO)
                .filter_map(|f| f.attr("var").map(str::to_owned))
                .collect(),
            forms: e.children_of("x", ns::DATA_FORMS).filter_map(|x| Form::from_element(x).ok()).collect(),
        })
    }

    /// Writes `query`.
    pub fn to_element(&self) -> Element {
        let identity = |i: &Identity| {
            Element::inherit("identity")
                .with_attr("category", &i.category)
                .with_attr("type", &i.kind)
                .with_opt_attr("xml:lang", i.lang.as_deref())
                .with_opt_attr("name", i.name.as_deref())
        };
        Self::query(self.node.as_deref())
            .with_children(self.identities.iter().map(identity))
            .with_children(self.features.iter().map(|f| Element::inherit("feature").with_attr("var", f)))
            .with_children(self.forms.iter().map(Form::to_element))
    }

    /// The verification string of XEP-0115 §5.1 with SHA-1; `None` if the content is one that §5.4 calls ill-formed,
    /// so that it must not be shared.
    pub fn ver(&self) -> Option<String> {
        let mut identities: Vec<String> = self
            .identities
            .iter()
            .map(|i| {
                let (lang, name) = (i.lang.as_deref().unwrap_or(""), i.name.as_deref().unwrap_or(""));
                format!("{}/{}/{lang}/{name}", i.category, i.kind)
            })
            .collect();
        let mut features = self.features.clone();
        identities.sort_unstable();
        features.sort_unstable();
        let mut forms = self
            .forms
            .iter()
            // XEP-0115 §5.4: a form without FORM_TYPE, or with a visible one, is ignored.
            .filter(|f| {
                f.kind == FormKind::Result
                    && f.field("FORM_TYPE").is_some_and(|t| t.kind.as_deref().is_none_or(|k| k == "hidden"))
            })
            .map(form_text)
            .collect::<Option<Vec<_>>>()?;
        forms.sort_unstable();
        for list in [&identities, &features, &forms] {
            if list.windows(2).any(|w| w.first() == w.get(1)) {
                return None;
            }
        }
        let form_types: Vec<_> = forms.iter().map(|f| f.split('<').next()).collect();
        if form_types.windows(2).any(|w| w.first() == w.get(1)) {
            return None;
        }
        let mut text = String::new();
        for part in identities.iter().chain(&features) {
            text.push_str(part);
            text.push('<');
        }
        text.extend(forms);
        Some(STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes())))
    }
}

fn form_text(f: &Form) -> Option<String> {
    let form_type = f.field("FORM_TYPE")?;
    if form_type.values.iter().any(|v| Some(v) != form_type.values.first()) {
        return None;
    }
    let mut fields: Vec<_> = f.fields.iter().filter(|x| x.var != "FORM_TYPE").collect();
    fields.sort_by(|a, b| a.var.cmp(&b.var));
    let mut text = format!("{}<", form_type.values.first()?);
    for field in fields {
        let mut values = field.values.clone();
        values.sort_unstable();
        text.push_str(&field.var);
        text.push('<');
        for v in values {
            text.push_str(&v);
            text.push('<');
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forms::Field;

    fn exodus() -> DiscoInfo {
        DiscoInfo {
            node: None,
            identities: vec![Identity::new("client", "pc", Some("Exodus 0.9.1"))],
            features: [
                "http://jabber.org/protocol/caps",
                "http://jabber.org/protocol/disco#info",
                "http://jabber.org/protocol/disco#items",
                "http://jabber.org/protocol/muc",
            ]
            .map(str::to_owned)
            .to_vec(),
            forms: Vec::new(),
        }
    }

    #[test]
    fn xep_0115_simple_example() {
        assert_eq!(exodus().ver().as_deref(), Some("QgayPKawpkPSDYmwT/WM94uAlu0="));
    }

    #[test]
    fn xep_0115_complex_example() {
        let mut d = exodus();
        let psi = |lang: &str, name: &str| Identity {
            lang: Some(lang.to_owned()),
            ..Identity::new("client", "pc", Some(name))
        };
        d.identities = vec![psi("en", "Psi 0.11"), psi("el", "Ψ 0.11")];
        let form = Form::new(FormKind::Result, "urn:xmpp:dataforms:softwareinfo")
            .with_field(Field {
                var: "ip_version".into(),
                values: vec!["ipv4".into(), "ipv6".into()],
                ..Field::default()
            })
            .with_field(Field::new("os", "Mac"))
            .with_field(Field::new("os_version", "10.5.1"))
            .with_field(Field::new("software", "Psi"))
            .with_field(Field::new("software_version", "0.11"));
        d.forms.push(form.clone());
        assert_eq!(d.ver().as_deref(), Some("q07IKJEyjvHSyhy//CH0CxmKi8w="));
        assert_eq!(DiscoInfo::from_element(&d.to_element()), Ok(d.clone()));
        d.forms.push(form);
        assert_eq!(d.ver(), None);
    }

    #[test]
    fn ill_formed_content_has_no_hash() {
        let mut d = exodus();
        d.features.push("http://jabber.org/protocol/muc".into());
        assert_eq!(d.ver(), None);
    }
}

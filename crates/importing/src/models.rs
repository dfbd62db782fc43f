//! Old names of models, and the ids that they have in our catalogue.

use std::collections::HashMap;

use kie_catalogue::Catalogue;
use thiserror::Error;

/// Why a file of names is refused.
#[derive(Debug, Error)]
pub enum ModelMapError {
    /// Not TOML of the expected form.
    #[error("the model map must have lines `\"old name\" = \"our/model-id\"`")]
    Unreadable(#[from] toml::de::Error),
    /// It leads to a model that there is not.
    #[error("the model map names `{0}`, which the catalogue does not have")]
    Unknown(String),
}

/// Old names and what they are called here.
#[derive(Debug, Clone, Default)]
pub struct ModelMap(HashMap<String, String>);

impl ModelMap {
    /// Reads TOML, one line for each name: `"old name" = "our/model-id"`.
    pub fn parse(text: &str, catalogue: &Catalogue) -> Result<Self, ModelMapError> {
        let names: HashMap<String, String> = toml::from_str(text)?;
        match names.values().find(|id| catalogue.get(id).is_none()) {
            Some(unknown) => Err(ModelMapError::Unknown(unknown.clone())),
            None => Ok(Self(names)),
        }
    }

    /// What a model is called here; an unknown name stays as it is.
    pub(crate) fn id<'a>(&'a self, old: &'a str) -> &'a str {
        self.0.get(old).map_or(old, String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_models_that_there_are() {
        let catalogue = Catalogue::packed().unwrap();
        let map = ModelMap::parse("nano = \"google/nano-banana\"\n", &catalogue).unwrap();
        assert_eq!((map.id("nano"), map.id("other")), ("google/nano-banana", "other"));
        let unknown = ModelMap::parse("nano = \"google/nanna\"\n", &catalogue).unwrap_err();
        assert!(unknown.to_string().contains("google/nanna"));
        assert!(matches!(ModelMap::parse("nano: x", &catalogue), Err(ModelMapError::Unreadable(_))));
    }
}

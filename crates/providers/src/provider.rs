//! An app of the configuration with its entry of the catalogue.

/// A provider that people can use.
#[derive(Debug)]
pub struct Provider {}

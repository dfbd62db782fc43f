#![cfg_attr(feature = "packed", doc = include_str!("../README.md"))]
#![cfg_attr(not(feature = "packed"), doc = "The models of KIE.ai as data; see the README.")]
#![warn(missing_docs)]

mod address;
mod catalogue;
mod cost;
mod credits;
mod fault;
mod file;
mod fill;
mod input;
mod model;
mod nearest;
mod outputs;
mod quantity;
mod read;
mod schema;
mod when;
mod words;

pub use catalogue::{Catalogue, FileFault, LoadError};
pub use cost::Cost;
pub use credits::{Credits, ParseCreditsError};
pub use file::{Alias, Origin, OutputKind, Status};
pub use input::{InputFault, ValidInput};
pub use model::Model;

//! Old shops: users and generations as the databases of three known shops have them, read without writing.
//!
//! A row that cannot be read is a [`BadRow`] with its key and the reason; it never ends the reading. What the words of a
//! row mean is said once, in [`Layout::status`].

mod error;
mod layout;
mod results;
mod row;
mod source;

pub use error::OldShopError;
pub use layout::{Layout, OldStatus};
pub use row::{BadRow, OldGeneration, OldUser};
pub use source::{OldShop, Read};

//! The API's description: OpenAPI 3.1, made from the handlers.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi as Document, SecurityRequirement};
use utoipa::{Modify, OpenApi};

use crate::problem::ProblemBody;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "KIE generations",
        description = "Orders of AI images, videos and sounds: kept for good, paid once, delivered to their owner. \
                       Errors are `application/problem+json`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    components(schemas(ProblemBody<'static>)),
    modifiers(&Bearer),
    tags(
        (name = "jobs", description = "Generations: order, read, act, listen"),
        (name = "models", description = "The catalogue with prices"),
        (name = "uploads", description = "Files for use as input"),
        (name = "money", description = "Balance and movements"),
        (name = "accounts", description = "Customers and their tokens"),
        (name = "operators", description = "Decisions and numbers"),
        (name = "callbacks", description = "What the provider calls"),
        (name = "media", description = "Files"),
        (name = "health", description = "For load balancers"),
    ),
)]
pub(crate) struct Api;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
        document.security = Some(vec![SecurityRequirement::new("bearer", Vec::<String>::new())]);
    }
}

/// Makes the document of the routes: wildcards are written as readers of OpenAPI know them.
pub(crate) fn finish(mut document: Document, version: &str) -> Document {
    version.clone_into(&mut document.info.version);
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths = paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    document
}

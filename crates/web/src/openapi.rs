//! The API's description: OpenAPI 3.1, made from the handlers.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Content, ContentBuilder, OpenApi as Document, Ref, RefOr, Response, ResponseBuilder, SecurityRequirement,
};
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

const PROBLEM: &str = "application/problem+json";

/// What every call with a token may answer, by name of the shared answer.
const WITH_TOKEN: [(&str, &str, &str); 4] = [
    ("401", "Unauthorized", "`unauthorized`: no token, or none that is valid"),
    ("403", "Forbidden", "`forbidden`: the token's role may not do that"),
    ("429", "RateLimited", "`rate-limited`: wait `Retry-After` seconds"),
    ("503", "Unavailable", "`unavailable`: send it again, with the same key, after `Retry-After` seconds"),
];
/// What a call that names a row may answer besides.
const WITH_ID: (&str, &str, &str) = ("404", "NotFound", "`not-found`: none, or another account's");

/// Makes the document of the routes: wildcards are written as readers of OpenAPI know them, and answers that many calls
/// share are named once.
pub(crate) fn finish(mut document: Document, version: &str) -> Document {
    version.clone_into(&mut document.info.version);
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths = paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    for (path, item) in &mut document.paths.paths {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            let is_open = operation.security.is_some();
            for response in operation.responses.responses.values_mut() {
                name_problems(response);
            }
            let named = path.contains("{id}").then_some(WITH_ID);
            for (status, name, _) in WITH_TOKEN.into_iter().chain(named).filter(|_| !is_open) {
                let shared = || Ref::from_response_name(name).into();
                operation.responses.responses.entry(status.to_owned()).or_insert_with(shared);
            }
        }
    }
    let components = document.components.get_or_insert_default();
    for (_, name, description) in WITH_TOKEN.into_iter().chain([WITH_ID]) {
        let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let response = ResponseBuilder::new().description(description);
        let response = response.content(PROBLEM, body).build();
        components.responses.insert(name.to_owned(), response.into());
    }
    document
}

/// Handlers name the body of a problem; its content type is the same everywhere.
fn name_problems(response: &mut RefOr<Response>) {
    let RefOr::T(response) = response else { return };
    let is_problem = |content: &RefOr<Content>| match content {
        RefOr::T(content) => {
            matches!(&content.schema, Some(RefOr::Ref(to)) if to.ref_location.ends_with("/Problem"))
        }
        RefOr::Ref(_) => false,
    };
    if response.content.get("application/json").is_some_and(is_problem)
        && let Some(content) = response.content.shift_remove("application/json")
    {
        response.content.insert(PROBLEM.to_owned(), content);
    }
}

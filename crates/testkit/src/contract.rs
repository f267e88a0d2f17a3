//! The OpenAPI document as a judge: every answer that the tests see is held against what it promises.
//!
//! OpenAPI 3.0 describes bodies in a dialect of JSON Schema draft 4; the one difference that our document uses is
//! `nullable`, which is rewritten when the document is read. All schemas are compiled then, so that a broken
//! reference shows at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

/// How many schema errors a failed check names.
const ERRORS_SHOWN: usize = 5;
const METHODS: [&str; 7] = ["get", "put", "post", "delete", "patch", "head", "options"];

/// What an OpenAPI document promises, ready to be checked.
#[derive(Debug)]
pub struct Contract {
    operations: BTreeMap<(String, String), Answers>,
    /// Answers that no operation can list: unknown paths (404) and methods (405).
    elsewhere: Answers,
}

/// The validators of an operation's answers by status; `None` where the answer has no body.
type Answers = BTreeMap<u16, Option<Arc<Validator>>>;

impl Contract {
    /// Reads a document from its YAML text.
    ///
    /// # Errors
    /// Says what in the document cannot be read: its YAML, a reference that leads nowhere, or a schema that does
    /// not compile.
    pub fn parse(yaml: &str) -> Result<Self, String> {
        let mut document: Value = yaml_serde::from_str(yaml).map_err(|e| format!("not YAML: {e}"))?;
        spell_out_nullable(&mut document);
        let mut compiler = Compiler { document: &document, done: BTreeMap::new() };

        let mut operations = BTreeMap::new();
        for (path, item) in members(&document, "/paths") {
            for method in METHODS {
                let Some(operation) = item.get(method) else { continue };
                let name = (method.to_uppercase(), path.clone());
                let mut answers = Answers::new();
                for (status, response) in members(operation, "/responses") {
                    let status = status.parse().map_err(|_| format!("{method} {path}: status {status:?}"))?;
                    answers.insert(status, compiler.answer(response)?);
                }
                operations.insert(name, answers);
            }
        }

        let mut elsewhere = Answers::new();
        for (status, name) in [(404, "NotFound"), (405, "MethodNotAllowed")] {
            let response = json!({ "$ref": format!("#/components/responses/{name}") });
            elsewhere.insert(status, compiler.answer(&response)?);
        }
        Ok(Self { operations, elsewhere })
    }

    /// The operations that the document has, as method (`GET`) and path template (`/_allauth/{client}/v1/config`).
    pub fn operations(&self) -> BTreeSet<(String, String)> {
        self.operations.keys().cloned().collect()
    }

    /// The operation (method and template) that answers `method` at the concrete `path`, if there is one. A query does
    /// not count, and `HEAD` is answered by `GET`.
    pub fn operation(&self, method: &str, path: &str) -> Option<(String, String)> {
        self.find(method, path).map(|(name, _)| name.clone())
    }

    /// Checks one answer: that the operation may answer with this status, and that the body is as promised for it.
    /// `method` is in capitals, `path` as requested, and `body` is `Value::Null` where there was none.
    ///
    /// # Errors
    /// Names the operation, the status and the first few things that are wrong.
    pub fn check(&self, method: &str, path: &str, status: u16, body: &Value) -> Result<(), String> {
        let (name, answers) = match self.find(method, path) {
            Some(((method, template), answers)) => (format!("{method} {template}"), answers),
            None => (format!("{method} {path} (no operation)"), &self.elsewhere),
        };
        let Some(promised) = answers.get(&status) else {
            let known: Vec<_> = answers.keys().map(u16::to_string).collect();
            return Err(format!("{name}: status {status} is not among {}", known.join(", ")));
        };
        if method == "HEAD" {
            return no_body(&name, status, body);
        }
        let Some(validator) = promised else { return no_body(&name, status, body) };
        let wrong: Vec<_> = validator
            .iter_errors(body)
            .take(ERRORS_SHOWN)
            .map(|e| format!("\n  at {:?}: {e}", e.instance_path().as_str()))
            .collect();
        if wrong.is_empty() { Ok(()) } else { Err(format!("{name}: status {status}{}", wrong.concat())) }
    }

    fn find(&self, method: &str, path: &str) -> Option<(&(String, String), &Answers)> {
        let method = if method == "HEAD" { "GET" } else { method };
        let path = path.split('?').next().unwrap_or(path);
        // Letters sort before `{`, so that a literal segment wins over a placeholder.
        self.operations.iter().find(|((m, template), _)| m == method && matches(template, path))
    }
}

/// Compiles each distinct schema once.
struct Compiler<'a> {
    document: &'a Value,
    done: BTreeMap<String, Arc<Validator>>,
}

impl Compiler<'_> {
    /// The validator of a response object or of a reference to one.
    fn answer(&mut self, response: &Value) -> Result<Option<Arc<Validator>>, String> {
        let response = resolve(self.document, response)?;
        response.pointer("/content/application~1json/schema").map(|schema| self.schema(schema)).transpose()
    }

    fn schema(&mut self, schema: &Value) -> Result<Arc<Validator>, String> {
        let key = schema.to_string();
        if let Some(validator) = self.done.get(&key) {
            return Ok(Arc::clone(validator));
        }
        // References in the schema start at the root of the document, so the components move in beside it.
        let root = json!({ "allOf": [schema], "components": self.document["components"] });
        let validator = jsonschema::options()
            .with_draft(Draft::Draft4)
            .build(&root)
            .map_err(|e| format!("schema {key} does not compile: {e}"))?;
        Ok(Arc::clone(self.done.entry(key).or_insert(Arc::new(validator))))
    }
}

/// What a reference leads to; anything else as it is.
fn resolve<'v>(document: &'v Value, value: &'v Value) -> Result<&'v Value, String> {
    let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return Ok(value) };
    reference
        .strip_prefix('#')
        .and_then(|pointer| document.pointer(pointer))
        .ok_or_else(|| format!("{reference} leads nowhere"))
}

/// Turns `type: T, nullable: true` into `type: [T, null]`, everywhere below.
fn spell_out_nullable(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if object.get("nullable") == Some(&Value::Bool(true)) {
                object.remove("nullable");
                if let Some(one) = object.get_mut("type") {
                    *one = json!([one.take(), "null"]);
                }
                if let Some(Value::Array(values)) = object.get_mut("enum") {
                    values.push(Value::Null);
                }
            }
            object.values_mut().for_each(spell_out_nullable);
        }
        Value::Array(values) => values.iter_mut().for_each(spell_out_nullable),
        _ => {}
    }
}

/// The members of the object at `pointer`; none if there is no such object.
fn members<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = (&'v String, &'v Value)> {
    value.pointer(pointer).and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

fn matches(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(w), Some(g)) if w == g || (w.starts_with('{') && !g.is_empty()) => {}
            _ => return false,
        }
    }
}

fn no_body(name: &str, status: u16, body: &Value) -> Result<(), String> {
    if body.is_null() {
        Ok(())
    } else {
        Err(format!("{name}: status {status} has a body, and should have none"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = include_str!("../../../api/openapi.yaml");

    fn contract() -> Contract {
        Contract::parse(DOCUMENT).unwrap()
    }

    fn session(user: Value) -> Value {
        json!({
            "status": 200,
            "data": { "user": user, "methods": [{ "method": "password", "at": 1.5, "email": "a@example.org" }] },
            "meta": { "is_authenticated": true },
        })
    }

    #[test]
    fn a_good_body_passes() {
        let user = json!({ "id": 1, "display": "a", "has_usable_password": true, "added_by_a_hook": [1] });
        contract().check("GET", "/_allauth/app/v1/auth/session?x=1", 200, &session(user)).unwrap();
    }

    #[test]
    fn a_bad_body_is_named_with_its_operation_and_place() {
        let user = json!({ "id": "1", "display": "a" });
        let error =
            contract().check("GET", "/_allauth/app/v1/auth/session", 200, &session(user)).unwrap_err();
        assert!(error.starts_with("GET /_allauth/{client}/v1/auth/session: status 200"), "{error}");
        assert!(error.contains("/data/user/id"), "{error}");
        assert!(error.contains("has_usable_password"), "{error}");
    }

    #[test]
    fn a_member_that_the_envelope_does_not_know_is_refused() {
        let body = json!({ "status": 409, "detail": "no" });
        let error = contract().check("POST", "/_allauth/browser/v1/auth/login", 409, &body).unwrap_err();
        assert!(error.contains("detail"), "{error}");
    }

    #[test]
    fn a_status_that_is_not_promised_is_refused() {
        let error = contract().check("GET", "/_allauth/app/v1/config", 500, &Value::Null).unwrap_err();
        assert!(error.contains("500 is not among 200, 400"), "{error}");
        assert!(contract().check("GET", "/_allauth/app/v1/config", 400, &json!({ "status": 409 })).is_err());
    }

    #[test]
    fn unknown_paths_and_methods_answer_in_the_envelope() {
        let contract = contract();
        contract.check("GET", "/_allauth/app/v1/nowhere", 404, &json!({ "status": 404 })).unwrap();
        contract.check("POST", "/_allauth/app/v1/config", 405, &json!({ "status": 405 })).unwrap();
        assert!(contract.check("GET", "/_allauth/app/v1/nowhere", 404, &Value::Null).is_err());
        assert!(contract.check("GET", "/_allauth/app/v1/nowhere", 200, &json!({ "status": 200 })).is_err());
    }

    #[test]
    fn head_is_get_without_a_body() {
        let contract = contract();
        contract.check("HEAD", "/_allauth/app/v1/config", 200, &Value::Null).unwrap();
        assert!(contract.check("HEAD", "/_allauth/app/v1/config", 200, &json!({ "status": 200 })).is_err());
    }

    #[test]
    fn operations_are_found_by_template() {
        let contract = contract();
        let email = |method: &str| (method.to_owned(), "/_allauth/{client}/v1/account/email".to_owned());
        assert_eq!(contract.operation("PATCH", "/_allauth/browser/v1/account/email"), Some(email("PATCH")));
        assert_eq!(contract.operation("PATCH", "/_allauth/browser/v1/account/email/"), None);
        assert_eq!(contract.operation("PATCH", "/_allauth//v1/account/email"), None);
        assert!(contract.operations().contains(&email("DELETE")));
    }

    #[test]
    fn nullable_allows_null() {
        let text = "
            paths: { /a: { get: { responses: { '200': { content: { application/json: { schema:
              { type: string, nullable: true, enum: [x] } } } } } } } }
            components: { responses: { NotFound: {}, MethodNotAllowed: {} } }";
        let contract = Contract::parse(text).unwrap();
        contract.check("GET", "/a", 200, &Value::Null).unwrap();
        contract.check("GET", "/a", 200, &json!("x")).unwrap();
        assert!(contract.check("GET", "/a", 200, &json!("y")).is_err());
    }

    #[test]
    fn a_reference_that_leads_nowhere_is_an_error() {
        let text = "
            paths: { /a: { get: { responses: { '200': { $ref: '#/components/responses/Nobody' } } } } }
            components: { responses: { NotFound: {}, MethodNotAllowed: {} } }";
        assert!(Contract::parse(text).unwrap_err().contains("Nobody"));
    }

    /// Examples are what people copy, so they have to be right too.
    #[test]
    fn every_example_of_the_document_is_valid() {
        let mut document: Value = yaml_serde::from_str(DOCUMENT).unwrap();
        spell_out_nullable(&mut document);
        let mut compiler = Compiler { document: &document, done: BTreeMap::new() };
        let mut seen = 0;
        for (name, schema) in members(&document, "/components/schemas") {
            let validator = compiler.schema(schema).unwrap();
            if let Some(example) = schema.get("example") {
                seen += 1;
                assert!(validator.is_valid(example), "{name}: {example}");
            }
        }
        for (name, response) in members(&document, "/components/responses") {
            // Some answers have no body.
            let Some(validator) = compiler.answer(response).unwrap() else { continue };
            for (key, example) in members(response, "/content/application~1json/examples") {
                seen += 1;
                assert!(validator.is_valid(&example["value"]), "{name}: {key}");
            }
        }
        assert!(seen > 20, "{seen}");
    }

    /// `info`, `tags` and `operationId` are what the page is drawn from.
    #[test]
    fn every_operation_is_titled_and_belongs_to_a_tag() {
        let document: Value = yaml_serde::from_str(DOCUMENT).unwrap();
        let tags: BTreeSet<_> =
            document["tags"].as_array().unwrap().iter().map(|t| &t["name"]).map(Value::to_string).collect();
        let mut ids = BTreeSet::new();
        for (path, item) in members(&document, "/paths") {
            for operation in METHODS.iter().filter_map(|m| item.get(m)) {
                assert!(operation["summary"].is_string(), "{path}");
                assert!(tags.contains(&operation["tags"][0].to_string()), "{path}");
                assert!(ids.insert(operation["operationId"].to_string()), "{path}");
            }
        }
    }
}

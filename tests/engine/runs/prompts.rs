//! Prompts as a model gets them, with its own template and with another one.

use protocol::{ChatMessage, Command, Event, GenerateRequest, ModelRef, Prompt, Sampling, UserError};

use super::support::{Engine, Project};

const TEMPLATE: &str = "{% for m in messages %}Q: {{ m.content }} {% endfor %}A:";

fn messages() -> Vec<ChatMessage> {
    vec![ChatMessage { role: "user".into(), content: "ember wood".into() }]
}

fn templated(template: &str) -> Prompt {
    Prompt::Templated { messages: messages(), template: template.into() }
}

fn model(project: &Project) -> ModelRef {
    ModelRef { path: project.path("model"), ..ModelRef::default() }
}

struct Rendered {
    text: String,
    ids: Vec<u32>,
    tokens: Vec<String>,
}

fn render(engine: &mut Engine, model: ModelRef, prompt: Prompt) -> Result<Rendered, UserError> {
    engine.ask(
        |request| Command::RenderPrompt { request, model, prompt },
        |event| match event {
            Event::Rendered { text, ids, tokens, .. } => Some(Ok(Rendered { text, ids, tokens })),
            Event::Failed { error, .. } => Some(Err(*error)),
            _ => None,
        },
    )
}

/// The answer's ids, and the length of the prompt it was given to.
fn answer(engine: &mut Engine, model: ModelRef, prompt: Prompt) -> (Vec<u32>, u64) {
    let sampling = Sampling { temperature: 0.0, max_new_tokens: 6, ignore_eos: true, ..Sampling::default() };
    let generate = GenerateRequest { model, adapter: None, live: None, prompt, sampling };
    engine.ask(
        |request| Command::Generate { request, generate },
        |event| match event {
            Event::Generated { ids, stats, .. } => Some((ids, stats.prompt_tokens)),
            Event::Failed { error, .. } => panic!("{error}"),
            _ => None,
        },
    )
}

#[test]
fn what_is_rendered_is_what_is_answered() {
    let project = Project::new();
    let mut engine = Engine::start();
    // Back and forth: one template is not taken for another.
    for prompt in [Prompt::Messages(messages()), templated(TEMPLATE), Prompt::Messages(messages())] {
        let rendered = render(&mut engine, model(&project), prompt.clone()).unwrap();
        assert!(rendered.text.contains("ember wood"), "{}", rendered.text);
        assert_eq!(rendered.ids.len(), rendered.tokens.len());
        let (ids, length) = answer(&mut engine, model(&project), prompt);
        assert_eq!(length, rendered.ids.len() as u64);
        let (same, _) = answer(&mut engine, model(&project), Prompt::Ids(rendered.ids));
        assert_eq!(ids, same);
    }
}

#[test]
fn another_template_is_used_to_the_letter_and_a_broken_one_refused() {
    let project = Project::new();
    let mut engine = Engine::start();
    let rendered = render(&mut engine, model(&project), templated(TEMPLATE)).unwrap();
    assert_eq!(rendered.text, "Q: ember wood A:");
    project.write("mine.jinja", "File: {{ messages[0].content }}");
    let file = project.path("mine.jinja").display().to_string();
    let rendered = render(&mut engine, model(&project), templated(&file)).unwrap();
    assert_eq!(rendered.text, "File: ember wood");
    for broken in ["{% for %}", "/no/such/file.jinja"] {
        assert!(render(&mut engine, model(&project), templated(broken)).is_err(), "{broken}");
    }
}

#[test]
fn plain_text_and_ids_are_told_as_they_are() {
    let project = Project::new();
    let mut engine = Engine::start();
    let rendered = render(&mut engine, model(&project), Prompt::Text("river".into())).unwrap();
    assert_eq!(rendered.text, "river");
    assert!(!rendered.ids.is_empty());
    let told = render(&mut engine, model(&project), Prompt::Ids(rendered.ids.clone())).unwrap();
    assert_eq!((told.text.as_str(), &told.ids, &told.tokens), ("", &rendered.ids, &rendered.tokens));
    // An id that no vocabulary has is no reason to fall.
    let strange = render(&mut engine, model(&project), Prompt::Ids(vec![u32::MAX])).unwrap();
    assert_eq!(strange.tokens, [String::new()]);
}

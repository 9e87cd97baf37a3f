//! Chat templates: compiled, and rendered over conversations of every kind.

use std::path::PathBuf;

use data::{Chat, ChatTemplate, Message, PRESETS, TemplateSource, message};
use protocol::Result;
use serde_json::{Value, json};

use crate::common::golden;
use crate::harness::{Input, Target};

const FILE: &str = "chat_template.jinja";

pub fn target() -> Target {
    // A text times a number has up to 100 MB, and a rendering writes 64 MiB at most.
    Target {
        memory: 512 << 20,
        ..Target::new(seeds, || {
            let (messages, tools) = conversation();
            Box::new(move |folder| {
                let source = String::from_utf8_lossy(&std::fs::read(folder.join(FILE)).unwrap_or_default())
                    .into_owned();
                render(source, &messages, &tools)
            })
        })
    }
}

fn render(source: String, messages: &[Message], tools: &Value) -> Result<String> {
    let special = json!({"bos_token": "<s>", "eos_token": "</s>"}).as_object().unwrap().clone();
    let sources = [TemplateSource { name: "default".into(), source, file: PathBuf::from(FILE) }];
    let now = chrono::DateTime::from_timestamp(1_700_000_000, 0).map(|time| time.naive_utc());
    let template = ChatTemplate::compile("fuzz", &sources, special, now)?;
    let prompt = Chat { messages: &messages[..2], add_generation_prompt: true, ..Chat::default() };
    let whole = Chat { messages, tools: Some(tools), ..Chat::default() };
    let text = template.render(&prompt)?;
    let traced = template.render_with_spans(&whole)?;
    for answer in &traced.answers {
        let ends = [Some(answer.start), answer.content_end, answer.turn_end];
        assert!(ends.into_iter().flatten().all(|end| traced.text.is_char_boundary(end)), "{answer:?}");
    }
    for content in traced.contents.iter().flatten() {
        assert!(traced.text.get(content.clone()).is_some(), "{content:?}");
    }
    let continued = Chat { messages, continue_final_message: true, ..Chat::default() };
    let continued = template.render(&continued).is_ok();
    Ok(format!("{} {} {continued}", text.len().min(999) / 100, traced.answers.len()))
}

fn conversation() -> (Vec<Message>, Value) {
    let call =
        json!([{"type": "function", "function": {"name": "sum", "arguments": {"a": [1, 2.5], "b": null}}}]);
    let mut calling = message("assistant", "");
    calling.extra.insert("tool_calls".into(), call);
    let mut thinking = message("assistant", "<think>hm</think>It is 3.");
    thinking.extra.insert("reasoning_content".into(), "hm".into());
    let messages = vec![
        message("system", "Be brief."),
        message("user", "什么是 1 + 2? {{ x }} {% %}"),
        calling,
        message("tool", "{\"sum\": 3}"),
        thinking,
        message("user", " thanks \n"),
        message("assistant", "No problem."),
    ];
    let tools = json!([{"type": "function", "function": {"name": "sum", "description": "d", "parameters":
        {"type": "object", "properties": {"a": {"type": "array"}}, "required": ["a"]}}}]);
    (messages, tools)
}

fn seeds() -> Vec<Input> {
    let file = golden("chat_templates.json").unwrap();
    let known: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let known = known["templates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| case["template"].as_str().unwrap().to_owned());
    let presets = PRESETS.iter().map(|preset| preset.source.to_owned());
    let own = [
        "{% macro f(x) %}{{ x }}{% endmacro %}{% for m in messages recursive %}{{ f(m.content) }}{% endfor %}",
        "{% set ns = namespace(a=[]) %}{% for m in messages %}{% set ns.a = ns.a + [m] %}{% endfor %}{{ ns.a | length }}",
        "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% endif %}{% endfor %}",
        "{% for i in range(9) %}{{ messages[i % 2]['content'].split(' ')[::-1] | join('x') }}{% endfor %}",
    ];
    let own = own.iter().map(|source| (*source).to_owned());
    known.chain(presets).chain(own).map(|source| Input::of(FILE, source)).collect()
}

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::NaiveDateTime;
use data::{Chat, ChatTemplate, Message, PRESETS, Preset, TemplateSource, Tokenizer, message};
use serde_json::{Map, Value, json};

use crate::common;

pub fn compile(source: &str) -> protocol::Result<ChatTemplate> {
    let special =
        json!({"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"});
    ChatTemplate::compile("test", &[template_source(source)], special.as_object().unwrap().clone(), None)
}

fn template_source(source: &str) -> TemplateSource {
    TemplateSource { name: "default".into(), source: source.into(), file: PathBuf::from("test.jinja") }
}

/// A message as JSON has it: what is not a role or a text content becomes an extra key.
pub fn from_json(value: &Value) -> Message {
    let mut message = message(value["role"].as_str().unwrap(), value["content"].as_str().unwrap_or_default());
    for (key, value) in value.as_object().unwrap() {
        if key != "role" && !(key == "content" && value.is_string()) {
            message.extra.insert(key.clone(), value.clone());
        }
    }
    message
}

pub fn messages(value: &Value) -> Vec<Message> {
    value.as_array().unwrap().iter().map(from_json).collect()
}

struct Golden {
    now: NaiveDateTime,
    templates: Vec<Value>,
}

fn golden() -> Golden {
    let file = common::golden("chat_templates.json").unwrap();
    let mut json: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let now = json["now"].as_str().unwrap().parse().unwrap();
    let Value::Array(templates) = json["templates"].take() else { panic!("no templates") };
    Golden { now, templates }
}

impl Golden {
    fn compile(&self, case: &Value) -> ChatTemplate {
        let special = |key: &str| Some((key.to_owned(), case.get(key)?.clone()));
        let special =
            ["bos_token", "eos_token", "pad_token", "unk_token"].into_iter().filter_map(special).collect();
        let source = template_source(case["template"].as_str().unwrap());
        ChatTemplate::compile("golden", &[source], special, Some(self.now)).unwrap()
    }
}

/// The arguments of one rendering, as transformers was given them.
struct Arguments {
    tools: Option<Value>,
    variables: Map<String, Value>,
    add_generation_prompt: bool,
    continue_final_message: bool,
}

impl Arguments {
    fn new(value: &Value) -> Self {
        let mut variables = value.as_object().unwrap().clone();
        let mut flag = |key: &str| variables.remove(key).is_some_and(|value| value == true);
        let (add_generation_prompt, continue_final_message) =
            (flag("add_generation_prompt"), flag("continue_final_message"));
        Self { tools: variables.remove("tools"), variables, add_generation_prompt, continue_final_message }
    }

    fn chat<'a>(&'a self, messages: &'a [Message]) -> Chat<'a> {
        Chat {
            messages,
            tools: self.tools.as_ref(),
            documents: None,
            variables: Some(&self.variables),
            add_generation_prompt: self.add_generation_prompt,
            continue_final_message: self.continue_final_message,
        }
    }
}

#[test]
fn golden_conversations_are_rendered_as_transformers_renders_them() {
    let golden = golden();
    let (mut rendered, mut refused) = (0, 0);
    for case in &golden.templates {
        let template = golden.compile(case);
        for conversation in case["conversations"].as_array().unwrap() {
            let messages = messages(&conversation["messages"]);
            for rendering in conversation["renderings"].as_array().unwrap() {
                let arguments = Arguments::new(&rendering["arguments"]);
                let result = template.render(&arguments.chat(&messages));
                let name = format!("{} {} {}", case["name"], conversation["name"], rendering["arguments"]);
                match rendering["error"].as_str() {
                    None => {
                        assert_eq!(result.unwrap(), rendering["rendered"].as_str().unwrap(), "{name}");
                        rendered += 1;
                    }
                    Some(message) => {
                        let error = result.unwrap_err();
                        assert!(error.to_string().contains(message), "{name}: {error}");
                        assert!(error.place.row.is_some(), "{name}: the line is not named");
                        refused += 1;
                    }
                }
            }
        }
    }
    println!("{rendered} renderings equal, {refused} refused as in transformers");
    assert!(rendered > 100 && refused >= 6);
}

#[test]
fn golden_ids_and_assistant_masks_agree() {
    let golden = golden();
    let tokenizer = Tokenizer::open(&common::golden("tokenizer/bytelevel-gpt2").unwrap()).unwrap();
    let (mut ids, mut masks) = (0, 0);
    for case in &golden.templates {
        let template = golden.compile(case);
        for conversation in case["conversations"].as_array().unwrap() {
            let messages = messages(&conversation["messages"]);
            for rendering in conversation["renderings"].as_array().unwrap() {
                let Some(expected) = rendering.get("input_ids") else { continue };
                let arguments = Arguments::new(&rendering["arguments"]);
                let text = template.render(&arguments.chat(&messages)).unwrap();
                let encoding = tokenizer.encode(&text, false).unwrap();
                assert_eq!(json!(encoding.ids), *expected);
                ids += 1;
                let Some(mask) = rendering.get("assistant_mask").filter(|_| !arguments.add_generation_prompt)
                else {
                    continue;
                };
                let spans = template.render_with_spans(&arguments.chat(&messages)).unwrap();
                let generated = spans.generated.unwrap();
                let learned = |at: &usize| generated.iter().any(|span| span.contains(at));
                let ours: Vec<u8> =
                    encoding.offsets.iter().map(|(start, _)| u8::from(learned(start))).collect();
                assert_eq!(json!(ours), *mask, "{} {}", case["name"], conversation["name"]);
                masks += 1;
            }
        }
    }
    println!("{ids} id lists and {masks} masks equal");
    assert!(ids > 100 && masks > 10);
}

/// What a span says must be what stands there, for every template, found without looking for it.
#[test]
fn contents_are_traced_through_every_golden_template() {
    let golden = golden();
    let mut traced = 0;
    for case in &golden.templates {
        let template = golden.compile(case);
        for conversation in case["conversations"].as_array().unwrap() {
            let messages = messages(&conversation["messages"]);
            let chat = Chat { messages: &messages, ..Chat::default() };
            let Ok(rendered) = template.render_with_spans(&chat) else {
                assert!(template.render(&chat).is_err(), "{} {}", case["name"], conversation["name"]);
                continue;
            };
            for (message, content) in messages.iter().zip(&rendered.contents) {
                let Some(range) = content.clone() else { continue };
                let found = &rendered.text[range];
                assert!(message.content.contains(found), "{found:?} is not in {:?}", message.content);
                traced += 1;
            }
            for answer in &rendered.answers {
                assert!(answer.start <= answer.limit && answer.limit <= rendered.text.len());
            }
        }
    }
    assert!(traced > 80, "{traced}");
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.push(path);
        }
    }
    files.sort();
}

/// Every real template: `*.jinja`, and those inside tokenizer_config.json.
fn real_templates(root: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    walk(root, &mut files);
    let mut found = Vec::new();
    for file in files {
        let name = file.strip_prefix(root).unwrap().display().to_string();
        if name.ends_with(".jinja") {
            found.push((name, std::fs::read_to_string(&file).unwrap()));
        } else if name.ends_with("tokenizer_config.json") {
            let json: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            if let Some(source) = json["chat_template"].as_str() {
                found.push((name, source.to_owned()));
            }
        }
    }
    found
}

fn conversations() -> BTreeMap<&'static str, (Value, Option<Value>)> {
    let tool = json!([{"type": "function", "function": {"name": "weather", "description": "The weather (天气)",
        "parameters": {"type": "object", "properties": {"city": {"type": "string", "description": "where"}},
        "required": ["city"]}}}]);
    let turn = |role: &str, content: &str| json!({"role": role, "content": content});
    let long = json!([
        turn("system", "Be brief. "),
        turn("user", " Hello?\n"),
        turn("assistant", "Hi \"you\"."),
        turn("user", "你好"),
        turn("assistant", "\n你好！\n")
    ]);
    let thinking = json!([
        turn("user", "2+2?"),
        turn("assistant", "<think>\nEasy.\n</think>\n\n4"),
        turn("user", "And 3+3?"),
        turn("assistant", "<think>\nAgain.\n</think>\n\n6")
    ]);
    let call = json!({"role": "assistant", "content": "", "tool_calls": [{"id": "abcdefghi", "type": "function",
        "function": {"name": "weather", "arguments": {"city": "Bern"}}}]});
    let tools = json!([turn("user", "Weather in Bern?"), call,
        {"role": "tool", "name": "weather", "tool_call_id": "abcdefghi", "content": "{\"t\": 3}"},
        turn("assistant", "3 °C.")]);
    BTreeMap::from([
        ("single", (json!([turn("user", "Hello?"), turn("assistant", "Hi.")]), None)),
        ("multi", (long, None)),
        ("thinking", (thinking, None)),
        ("tools", (tools, Some(tool))),
    ])
}

/// All real templates over several conversations. Set EMBERWRIGHT_RENDERINGS to a file to write what
/// came out, for comparison with another implementation.
#[test]
fn real_templates_render_and_show_their_answers() {
    let Some(root) = common::shared("realdata") else {
        return common::skipped(1, "folder of real templates");
    };
    let mut templates = real_templates(&root.join("templates"));
    templates.extend(real_templates(&root.join("tokenizers")));
    let now: NaiveDateTime = "2026-03-14T09:26:53".parse().unwrap();
    let special =
        json!({"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"});
    let mut out = Vec::new();
    let (mut rendered, mut refused, mut hidden, mut failed) = (0, 0, Vec::new(), Vec::new());
    for (name, source) in &templates {
        let special = special.as_object().unwrap().clone();
        let template = match ChatTemplate::compile(name, &[template_source(source)], special, Some(now)) {
            Ok(template) => template,
            Err(err) => {
                failed.push(format!("{name}: {err}"));
                continue;
            }
        };
        for (label, (turns, tools)) in conversations() {
            let messages = messages(&turns);
            let prompt = Chat { messages: &messages[..1], add_generation_prompt: true, ..Chat::default() };
            let chat = Chat { messages: &messages, tools: tools.as_ref(), ..Chat::default() };
            for (kind, chat) in [("whole", chat), ("prompt", prompt)] {
                let result = template.render(&chat);
                let text = result.as_ref().map_err(ToString::to_string);
                out.push(json!({"template": name, "source": source, "conversation": label, "kind": kind,
                    "messages": if kind == "whole" { turns.clone() } else { json!([turns[0]]) },
                    "tools": chat.tools, "text": text.as_ref().ok(), "error": text.as_ref().err()}));
                match result {
                    Ok(_) => rendered += 1,
                    Err(err) if err.to_string().contains("refuses") => refused += 1,
                    Err(err) => failed.push(format!("{name} on {label} {kind}: {err}")),
                }
            }
            if template.render(&chat).is_ok() {
                match template.render_with_spans(&chat) {
                    Ok(rendered) => check_answers(name, label, &messages, &rendered),
                    Err(err) => hidden.push(format!("{name} on {label}: {}", err.what)),
                }
            }
        }
    }
    println!("{} templates: {rendered} rendered, {refused} refused by the template", templates.len());
    println!("{} hide an answer:\n  {}", hidden.len(), hidden.join("\n  "));
    println!("{} fail:\n  {}", failed.len(), failed.join("\n  "));
    // What transformers fails on too: the template wants a name that this tool call does not have.
    assert!(failed.iter().all(|line| line.contains("gpt-oss") && line.contains("on tools")), "{failed:?}");
    assert!(hidden.is_empty());
    if let Some(file) = std::env::var_os("EMBERWRIGHT_RENDERINGS") {
        std::fs::write(file, serde_json::to_vec(&out).unwrap()).unwrap();
    }
}

/// The traced content of the last answer is that answer, as far as the template shows it.
fn check_answers(name: &str, label: &str, messages: &[Message], rendered: &data::Rendered) {
    for answer in &rendered.answers {
        let content = messages[answer.message].content.trim();
        let Some(end) = answer.content_end else { continue };
        let shown = &rendered.text[answer.start..end];
        let tail = content.rsplit("</think>").next().unwrap().trim();
        assert!(shown.ends_with(tail), "{name} on {label}: {shown:?} does not end with {tail:?}");
    }
}

#[test]
fn presets_render_and_agree_with_the_reference_where_it_has_them() {
    let turns = messages(&json!([
        {"role": "system", "content": "S"}, {"role": "user", "content": "U"}, {"role": "assistant", "content": "A"}
    ]));
    let expected = [
        (
            "chatml",
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n",
        ),
        ("llama2", "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nU [/INST] A </s>"),
        (
            "llama3",
            "<s><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n\
             U<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nA<|eot_id|>",
        ),
        ("mistral", "<s>[INST] S\n\nU[/INST] A</s>"),
        ("alpaca", "<s>S\n\n### Instruction:\nU\n\n### Response:\nA</s>\n\n"),
        ("vicuna", "<s>S USER: U ASSISTANT: A</s>"),
        ("zephyr", "<|system|>\nS</s>\n<|user|>\nU</s>\n<|assistant|>\nA</s>\n"),
        ("plain", "<s>S\nU\nA</s>\n"),
    ];
    for (name, text) in expected {
        let preset = Preset::named(name).unwrap();
        let template = compile(preset.source).unwrap();
        let rendered = template.render_with_spans(&Chat { messages: &turns, ..Chat::default() }).unwrap();
        assert_eq!(rendered.text, text, "{name}");
        let answer = &rendered.answers[0];
        assert_eq!(rendered.text[answer.start..answer.content_end.unwrap()].trim(), "A", "{name}");
        // The answer begins exactly where the prompt for it ends.
        let prompt = Chat { messages: &turns[..2], add_generation_prompt: true, ..Chat::default() };
        assert_eq!(template.render(&prompt).unwrap(), rendered.text[..answer.start], "{name}");
    }
}

#[test]
fn hostile_templates_are_stopped() {
    let turns = [message("user", "Hi")];
    let chat = Chat { messages: &turns, ..Chat::default() };
    let endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";
    let flood = "{% for a in range(99999) %}{{ 'x' * 90000 }}{% endfor %}";
    let recursion = "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}";
    let cases = [
        (endless, "come to an end"),
        (flood, "64 MiB"),
        (recursion, "recursion"),
        ("\n\n{{ messages[0].nothing.more }}", "row 3"),
        ("{% include 'x' %}", "include"),
        ("{{ 1 | tojson(indent='a', nonsense=1) }}", "nonsense"),
        ("\n{{ raise_exception('no thanks') }}", "no thanks"),
        ("{{ strftime_now('%Q') }}", "%Q"),
        ("{{ 'a' | indent(99999999999999) }}", "more than any template needs"),
        ("{{ 'a' | indent(width=99999999999999) }}", "more than any template needs"),
        ("{{ [1] | slice(99999999999999) | list }}", "more than any template needs"),
    ];
    for (source, part) in cases {
        let error = compile(source).unwrap().render(&chat).unwrap_err().to_string();
        assert!(error.contains(part), "{source}: {error}");
    }
    // What never ends is found at its line, in the template's file.
    let error = compile(&format!("Hello\n\n{endless}")).unwrap().render(&chat).unwrap_err();
    assert_eq!(error.place.row, Some(3), "{error}");
    assert!(error.place.file.is_some(), "{error}");
    // Values nested forty thousand deep are dropped, printed and compared without harm.
    let nested = "{% set ns = namespace(x={}) %}{% for a in range(20000) %}{% set ns.x = dict(a=[ns.x]) %}{% endfor %}";
    for rest in ["{{ ns.x ~ 'b' }}", "{{ ns.x == ns.x }}", "done"] {
        assert!(compile(&format!("{nested}{rest}")).unwrap().render(&chat).is_ok());
    }
    for rest in ["{{ ns.x }}", "{{ ns.x | tojson }}"] {
        let error = compile(&format!("{nested}{rest}")).unwrap().render(&chat).unwrap_err().to_string();
        assert!(error.contains("too deeply"), "{error}");
    }
    for (source, part) in [("\n{% if %}", "row 2"), ("{{", "row 1"), ("{% generation %}x", "row 1")] {
        let error = compile(source).unwrap_err().to_string();
        assert!(error.contains(part), "{source}: {error}");
    }
    assert!(compile(&" ".repeat((1 << 20) + 1)).unwrap_err().to_string().contains("MiB"));
}

#[test]
fn private_characters_in_the_data_are_refused_not_mistaken() {
    let template = compile(PRESETS[0].source).unwrap();
    for text in ["a\u{100000}b", "\u{f0000}"] {
        let turns = [message("user", text), message("assistant", "x")];
        let chat = Chat { messages: &turns, ..Chat::default() };
        assert!(template.render(&chat).is_ok());
        assert!(template.render_with_spans(&chat).unwrap_err().to_string().contains("private character"));
    }
}

#[test]
fn python_methods_that_templates_use() {
    let cases = [
        ("{{ 'abc'.removeprefix('a') }}", "bc"),
        ("{{ 'abc'.removesuffix('c') }}", "ab"),
        ("{{ 'a=b=c'.partition('=') }}", "('a', '=', 'b=c')"),
        ("{{ 'a=b=c'.rsplit('=', 1)[0] }}", "a=b"),
        ("{{ [1, none, true, 'a', 1.0] }}", "[1, None, True, 'a', 1.0]"),
        ("{{ {'a': {'b': none}} | string }}", "{'a': {'b': None}}"),
        ("{{ {'b': 1, 'a': '<é>'} | tojson }}", r#"{"b": 1, "a": "<é>"}"#),
        (
            "{{ {'b': 1, 'a': 'é🤖'} | tojson(ensure_ascii=true, sort_keys=true) }}",
            r#"{"a": "\u00e9\ud83e\udd16", "b": 1}"#,
        ),
        ("{{ [1, {'a': []}] | tojson(indent=2) }}", "[\n  1,\n  {\n    \"a\": []\n  }\n]"),
        ("{{ [1, 2] | tojson(separators=(',', ':')) }}", "[1,2]"),
        ("{{ 'a\nb' | indent(2) }}", "a\n  b"),
        ("{{ 'a\n\nb' | indent(width=1, first=true, blank=true) }}", " a\n \n b"),
        ("{{ [1, 2, 3] | slice(2) | list }}", "[[1, 2], [3]]"),
        (
            "{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}",
            "02",
        ),
    ];
    for (source, text) in cases {
        assert_eq!(compile(source).unwrap().render(&Chat::default()).unwrap(), text, "{source}");
    }
}

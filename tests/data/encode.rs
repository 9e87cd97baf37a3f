use std::path::Path;
use std::sync::Arc;

use data::{
    Chat, ChatTemplate, Encode, EncodeOptions, Encoder, Example, IGNORE, Message, PRESETS, Record,
    TemplateSource, Tokenizer, message,
};
use protocol::TokenRole;
use protocol::config::{DataConfig, TrainOn};
use serde_json::{Value, json};

use crate::common;
use crate::templates::{compile, messages};

const OPTIONS: EncodeOptions = EncodeOptions {
    train_on: TrainOn::Responses,
    max_length: 4096,
    max_source_length: 0,
    max_target_length: 0,
};

/// The golden byte-level tokenizer: `<s>`, `</s>`, `<|im_start|>`, `<|im_end|>` are tokens of it.
fn tokenizer() -> Arc<Tokenizer> {
    Arc::new(Tokenizer::open(&common::golden("tokenizer/bytelevel-gpt2").unwrap()).unwrap())
}

fn encoder(template: &str, options: EncodeOptions) -> Encoder {
    Encoder::new(tokenizer(), Some(compile(template).unwrap()), options).unwrap()
}

fn preset(name: &str) -> &'static str {
    PRESETS.iter().find(|preset| preset.name == name).unwrap().source
}

fn conversation() -> Record {
    let turns = json!([
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello?"},
        {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "你好 </s> <|im_end|>"},
        {"role": "assistant", "content": "再见 🤖"}
    ]);
    Record::Conversation { messages: messages(&turns), tools: None }
}

/// The learned stretches of text, each with the tokens around it left out.
fn learned(example: &Example) -> Vec<String> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (at, (start, end)) in example.offsets.iter().copied().enumerate() {
        if example.labels[at] == IGNORE {
            continue;
        }
        match found.last_mut() {
            Some(last) if at > 0 && example.labels[at - 1] != IGNORE => last.1 = end,
            _ => found.push((start, end)),
        }
    }
    found.into_iter().map(|(start, end)| example.rendered[start..end].to_owned()).collect()
}

fn consistent(example: &Example) {
    let length = example.ids.len();
    assert_eq!((example.labels.len(), example.roles.len(), example.offsets.len()), (length, length, length));
    for (id, label) in example.ids.iter().zip(&example.labels) {
        assert!(*label == IGNORE || *label == i32::try_from(*id).unwrap());
    }
}

#[test]
fn every_preset_teaches_the_answers_and_their_end() {
    let expected = [
        ("chatml", ["Hi.<|im_end|>", "再见 🤖<|im_end|>"], true),
        ("llama2", [" Hi. </s>", " 再见 🤖 </s>"], true),
        // The golden tokenizer has no <|eot_id|>: it is learned as text, and nothing would stop there.
        ("llama3", ["Hi.<|eot_id|>", "再见 🤖<|eot_id|>"], false),
        ("mistral", [" Hi.</s>", " 再见 🤖</s>"], true),
        ("alpaca", ["Hi.</s>", "再见 🤖</s>"], true),
        ("vicuna", [" Hi.</s>", " 再见 🤖</s>"], true),
        ("zephyr", ["Hi.</s>", "再见 🤖</s>"], true),
        ("plain", ["Hi.</s>", "再见 🤖</s>"], true),
    ];
    for (name, answers, stops) in expected {
        let example = encoder(preset(name), OPTIONS).encode(&conversation()).unwrap();
        consistent(&example);
        assert_eq!(learned(&example), answers, "{name}");
        assert_eq!(example.learns_to_stop, stops, "{name}");
    }
}

#[test]
fn train_on_chooses_the_answers() {
    let options = EncodeOptions { train_on: TrainOn::LastResponse, ..OPTIONS };
    let tagged = "{% for m in messages %}[{{ m.role }}]{% if m.role == 'assistant' %}{% generation %}{{ m.content }}\
                  {% endgeneration %}{% else %}{{ m.content }}{% endif %}</s>{% endfor %}";
    for (template, last) in [(preset("chatml"), "再见 🤖<|im_end|>"), (tagged, "再见 🤖")] {
        let example = encoder(template, options).encode(&conversation()).unwrap();
        assert_eq!(learned(&example), [last]);
    }
    let options = EncodeOptions { train_on: TrainOn::Everything, ..OPTIONS };
    let example = encoder(preset("chatml"), options).encode(&conversation()).unwrap();
    assert!(!example.labels.contains(&IGNORE));
    assert_eq!(example.learned(), example.ids.len() - 1);

    // The tags leave the end token out: the model would not learn to stop.
    let example = encoder(tagged, OPTIONS).encode(&conversation()).unwrap();
    assert_eq!(learned(&example), ["Hi.", "再见 🤖"]);
    assert!(!example.learns_to_stop);
}

#[test]
fn roles_follow_the_messages() {
    let example = encoder(preset("chatml"), OPTIONS).encode(&conversation()).unwrap();
    let of = |role: TokenRole| -> String {
        let tokens = example.roles.iter().zip(&example.offsets).filter(|(own, _)| **own == role);
        let mut ranges: Vec<(usize, usize)> = tokens.map(|(_, range)| *range).collect();
        ranges.dedup();
        ranges.into_iter().map(|(start, end)| &example.rendered[start..end]).collect()
    };
    assert_eq!(of(TokenRole::System), "Be brief.");
    assert_eq!(of(TokenRole::User), "Hello?你好 </s> <|im_end|>");
    assert_eq!(of(TokenRole::Assistant), "Hi.再见 🤖");
    assert!(of(TokenRole::Template).starts_with("<|im_start|>system\n<|im_end|>\n<|im_start|>user\n"));
}

/// The golden tokenizer with one more token, at which the model stops (Phi-3's `<|end|>`).
fn tokenizer_with_end() -> Arc<Tokenizer> {
    let folder = tempfile::tempdir().unwrap();
    let golden = common::golden("tokenizer/bytelevel-gpt2").unwrap();
    let id = tokenizer().vocab_size();
    let config = json!({"eos_token": "</s>", "added_tokens_decoder": {id.to_string(): {"content": "<|end|>", "special": true}}});
    std::fs::copy(golden.join("tokenizer.json"), folder.path().join("tokenizer.json")).unwrap();
    std::fs::write(folder.path().join("tokenizer_config.json"), config.to_string()).unwrap();
    std::fs::write(folder.path().join("generation_config.json"), json!({"eos_token_id": [id]}).to_string())
        .unwrap();
    let tokenizer = Tokenizer::open(folder.path()).unwrap();
    assert_eq!((tokenizer.vocab_size(), tokenizer.id("<|end|>")), (id + 1, u32::try_from(id).ok()));
    Arc::new(tokenizer)
}

/// The golden templates mark what is learned with tags. Without the tags, the general rule must find the
/// same tokens; it differs only by blanks: a line break after the end token that stands inside the tags, a
/// space before the answer that stands outside of them though the prompt does not end with it.
#[test]
fn the_general_rule_finds_what_generation_tags_mark() {
    let file = common::golden("chat_templates.json").unwrap();
    let golden: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let tokenizer = tokenizer_with_end();
    let mut compared = 0;
    for case in golden["templates"].as_array().unwrap() {
        if case["has_generation_tags"] != true {
            continue;
        }
        let source = case["template"].as_str().unwrap();
        // An if block keeps the whitespace control of the tags.
        let untagged = source.replace("endgeneration", "endif").replace("generation %", "if true %");
        assert_ne!(source, untagged);
        for conversation in case["conversations"].as_array().unwrap() {
            let record = Record::Conversation { messages: messages(&conversation["messages"]), tools: None };
            let encode = |source: &str| {
                let template = compile(source).unwrap();
                Encoder::new(tokenizer.clone(), Some(template), OPTIONS).unwrap().encode(&record).unwrap()
            };
            let (with_tags, without) = (encode(source), encode(&untagged));
            let name = format!("{} {}", case["name"], conversation["name"]);
            let trimmed = |example: &Example| -> Vec<String> {
                learned(example).iter().map(|text| text.trim().to_owned()).collect()
            };
            assert_eq!(trimmed(&with_tags), trimmed(&without), "{name}");
            assert!(with_tags.learned().abs_diff(without.learned()) <= 2, "{name}");
            compared += usize::from(with_tags.learned() > 0);
        }
    }
    assert!(compared >= 12, "{compared}");
}

#[test]
fn reasoning_that_a_template_drops_or_rewrites_is_followed() {
    let turns = json!([
        {"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "<think>\nEasy.\n</think>\n\n4"},
        {"role": "user", "content": "3+3?"}, {"role": "assistant", "content": "<think>\nAgain.\n</think>\n\n6"}
    ]);
    let record = Record::Conversation { messages: messages(&turns), tools: None };
    // As DeepSeek: only the part after the reasoning is kept, and the prompt opens a reasoning.
    let dropping = "{% for m in messages %}{% if m.role == 'user' %}U:{{ m.content }}{% else %}A:\
                    {{ m.content.split('</think>')[-1].strip() }}</s>{% endif %}{% endfor %}\
                    {% if add_generation_prompt %}A:<think>\n{% endif %}";
    assert_eq!(learned(&encoder(dropping, OPTIONS).encode(&record).unwrap()), ["4</s>", "6</s>"]);
    // The prompt opens the reasoning and the template keeps it: the model is given what opens it.
    let kept = dropping.replace(".split('</think>')[-1].strip()", "");
    let answers = ["Easy.\n</think>\n\n4</s>", "Again.\n</think>\n\n6</s>"];
    assert_eq!(learned(&encoder(&kept, OPTIONS).encode(&record).unwrap()), answers);
    // As Qwen3: only past answers lose their reasoning.
    let past = "{% for m in messages %}{% if m.role == 'user' %}U:{{ m.content }}\n{% else %}A:{% if loop.last %}\
                {{ m.content }}{% else %}{{ m.content.split('</think>')[-1].lstrip('\\n') }}{% endif %}</s>\n\
                {% endif %}{% endfor %}{% if add_generation_prompt %}A:{% endif %}";
    let answers = ["4</s>", "<think>\nAgain.\n</think>\n\n6</s>"];
    assert_eq!(learned(&encoder(past, OPTIONS).encode(&record).unwrap()), answers);
}

#[test]
fn tool_calls_are_learned_like_answers() {
    let call = json!([{"type": "function", "function": {"name": "weather", "arguments": {"city": "Bern"}}}]);
    let turns = json!([
        {"role": "user", "content": "Weather?"}, {"role": "assistant", "content": null, "tool_calls": call},
        {"role": "tool", "content": "3"}, {"role": "assistant", "content": "3 °C."}
    ]);
    let template = "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.tool_calls %}\
                    {{ m.tool_calls[0].function | tojson }}{% else %}{{ m.content }}{% endif %}<|im_end|>\n\
                    {% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    let record = Record::Conversation { messages: messages(&turns), tools: None };
    let example = encoder(template, OPTIONS).encode(&record).unwrap();
    let call = "{\"name\": \"weather\", \"arguments\": {\"city\": \"Bern\"}}<|im_end|>";
    assert_eq!(learned(&example), [call, "3 °C.<|im_end|>"]);
}

#[test]
fn a_template_without_an_end_of_turn_is_told() {
    // As GLM-4: the next turn's marker ends an answer, if the model stops there.
    let template = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{% endfor %}\
                    {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    let example = encoder(template, OPTIONS).encode(&conversation()).unwrap();
    assert_eq!(learned(&example), ["Hi.", "再见 🤖"]);
    assert!(!example.learns_to_stop);

    let folder = tempfile::tempdir().unwrap();
    let golden = common::golden("tokenizer/bytelevel-gpt2").unwrap();
    std::fs::copy(golden.join("tokenizer.json"), folder.path().join("tokenizer.json")).unwrap();
    let id = tokenizer().id("<|im_start|>").unwrap();
    std::fs::write(folder.path().join("generation_config.json"), json!({"eos_token_id": [id]}).to_string())
        .unwrap();
    let stopping = Arc::new(Tokenizer::open(folder.path()).unwrap());
    let encoder = Encoder::new(stopping, Some(compile(template).unwrap()), OPTIONS).unwrap();
    let example = encoder.encode(&conversation()).unwrap();
    assert_eq!(learned(&example), ["Hi.<|im_start|>", "再见 🤖"]);
}

#[test]
fn an_answer_that_cannot_be_found_is_an_error_with_a_way_out() {
    let shouting = "{% for m in messages %}{{ loop.length }}{{ messages | length }}{{ m.content | length }}\
                    {{ m.content[::-1] }}{% endfor %}{% if add_generation_prompt %}?{% endif %}";
    let error = encoder(shouting, OPTIONS).encode(&conversation()).unwrap_err().to_string();
    assert!(error.contains("does not show") && error.contains("{% generation %}"), "{error}");
}

#[test]
fn long_rows_are_cut_or_refused() {
    let whole = encoder(preset("chatml"), OPTIONS).encode(&conversation()).unwrap();
    let length = whole.ids.len();
    for (max, cut) in [(length, false), (length - 1, true), (5, true), (1, true)] {
        let options = EncodeOptions { max_length: max, ..OPTIONS };
        let example = encoder(preset("chatml"), options).encode(&conversation()).unwrap();
        consistent(&example);
        assert_eq!(example.ids, whole.ids[..max]);
        assert_eq!(example.truncated_from, cut.then_some(length));
        // One token after the end token: the cut at `length - 1` takes only the line break.
        assert_eq!(example.learns_to_stop, max >= length - 1);
    }
    let options = EncodeOptions { max_length: 0, ..OPTIONS };
    let error = Encoder::new(tokenizer(), None, options).unwrap_err().to_string();
    assert!(error.contains("max_length is 0"), "{error}");
}

#[test]
fn completions_and_texts_end_with_the_end_token() {
    let encoder = Encoder::new(tokenizer(), None, OPTIONS).unwrap();
    let eos = tokenizer().id("</s>").unwrap();
    let completion = |prompt: &str, completion: &str| {
        let record = Record::Completion { prompt: prompt.into(), completion: completion.into() };
        let example = encoder.encode(&record).unwrap();
        consistent(&example);
        assert_eq!(example.ids.last(), Some(&eos));
        assert_eq!(example.labels.last(), Some(&i32::try_from(eos).unwrap()));
        assert!(example.learns_to_stop);
        example
    };
    assert_eq!(learned(&completion("Question: 2+2\nAnswer:", " four.")), [" four."]);
    assert_eq!(learned(&completion("", "all")), ["all"]);
    assert_eq!(completion("only the prompt", "").learned(), 1);

    // "th" + "e" is one token: the prompt is encoded as it will be when asked.
    let apart = completion("about th", "e end");
    assert_eq!(learned(&apart), ["e end"]);
    let prompt = tokenizer().encode("about th", false).unwrap().ids;
    assert_eq!(apart.ids[..prompt.len()], prompt);

    let text = encoder.encode(&Record::Text("one two".into())).unwrap();
    consistent(&text);
    assert!(!text.labels.contains(&IGNORE));
    assert_eq!(text.ids.last(), Some(&eos));
    let roles = text.roles.split_last().unwrap();
    assert!(*roles.0 == TokenRole::Template && roles.1.iter().all(|role| *role == TokenRole::Text));
}

#[test]
fn token_rows_pass_unless_they_contradict_themselves() {
    let encoder = Encoder::new(tokenizer(), None, EncodeOptions { max_length: 3, ..OPTIONS }).unwrap();
    let encode = |input_ids: &[u32], labels: &[i32]| {
        encoder.encode(&Record::Tokens { input_ids: input_ids.to_vec(), labels: labels.to_vec() })
    };
    let example = encode(&[5, 6, 7], &[IGNORE, 6, 9]).unwrap();
    assert_eq!((example.ids, example.labels), (vec![5, 6, 7], vec![IGNORE, 6, 9]));
    assert_eq!(encode(&[1, 2, 3, 4], &[1, 2, 3, 4]).unwrap().truncated_from, Some(4));
    assert_eq!(encode(&[], &[]).unwrap().ids.len(), 0);
    for (ids, labels) in [(&[1, 2][..], &[1][..]), (&[1], &[-1]), (&[u32::MAX], &[1])] {
        assert!(encode(ids, labels).is_err());
    }
}

#[test]
fn chat_prompts_and_stop_tokens() {
    let encoder = encoder(preset("chatml"), OPTIONS);
    let prompt = encoder.render_chat(&[message("user", "Hi")], None).unwrap();
    assert_eq!(prompt.text, "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
    assert_eq!(encoder.tokenizer().decode(&prompt.ids, false).unwrap(), prompt.text);
    let id = |token: &str| tokenizer().id(token).unwrap();
    let mut wanted = vec![id("</s>"), id("<|im_end|>")];
    wanted.sort_unstable();
    assert_eq!(encoder.stop_ids().iter().copied().collect::<Vec<_>>(), wanted);
    assert_eq!(message("ipython", "x").extra["role"], "ipython");
}

#[test]
fn templates_are_found_by_name_or_file_and_missing_ones_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let golden = common::golden("tokenizer/bytelevel-gpt2").unwrap();
    for file in ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"] {
        std::fs::copy(golden.join(file), folder.path().join(file)).unwrap();
    }
    let open = |template: &str| {
        let config = DataConfig { template: template.into(), ..DataConfig::default() };
        Encoder::open(folder.path(), &config, folder.path(), None)
    };
    let own = open("auto").unwrap();
    let has_template = own.template().is_some();
    assert_eq!(has_template, !own.tokenizer().chat_templates().is_empty());

    std::fs::write(folder.path().join("tokenizer_config.json"), r#"{"eos_token": "</s>"}"#).unwrap();
    let bare = open("auto").unwrap();
    assert!(bare.template().is_none());
    let error = bare.encode(&conversation()).unwrap_err().to_string();
    assert!(error.contains("chatml") && error.contains("plain"), "{error}");
    let remedies = bare.encode(&conversation()).unwrap_err().remedies;
    assert_eq!(remedies[0].changes, [("data.template".to_owned(), "chatml".into())]);
    assert!(bare.encode(&Record::Text("no template needed".into())).is_ok());

    assert_eq!(open("vicuna").unwrap().template().unwrap().name(), "vicuna");
    std::fs::write(folder.path().join("own.jinja"), "{{ messages[0].content }}").unwrap();
    assert_eq!(open("own.jinja").unwrap().template().unwrap().source(), "{{ messages[0].content }}");
    // A text with tags is the template itself.
    let inline = open("{% for m in messages %}{{ m.content }}\n{% endfor %}").unwrap();
    assert_eq!(inline.template().unwrap().name(), "data.template");
    assert_eq!(inline.render_chat(&[message("user", "Hi")], None).unwrap().text, "Hi\n");
    let broken = open("{{ bos_token }}\n\n{% if %}").unwrap_err();
    assert_eq!(
        (broken.place.row, broken.place.file),
        (Some(3), Some("data.template".into())),
        "{}",
        broken.what
    );
    let error = open("chatlm").unwrap_err().to_string();
    assert!(error.contains("chatml"), "{error}");
}

#[test]
fn conversations_with_tools_take_the_template_for_tools() {
    let source = |name: &str, text: &str| TemplateSource {
        name: name.into(),
        source: text.into(),
        file: Path::new("tokenizer_config.json").into(),
    };
    let sources = [source("default", "plain"), source("tool_use", "with {{ tools | length }}")];
    let template = ChatTemplate::compile("model", &sources, serde_json::Map::new(), None).unwrap();
    let turns: [Message; 1] = [message("user", "Hi")];
    let tools = json!([{}, {}]);
    let chat = Chat { messages: &turns, ..Chat::default() };
    assert_eq!(template.render(&chat).unwrap(), "plain");
    assert_eq!(template.render(&Chat { tools: Some(&tools), ..chat }).unwrap(), "with 2");
}

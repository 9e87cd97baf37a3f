//! One row of each format, and rows that are refused.

use std::collections::BTreeMap;

use data::formats::{Format, FormatContext, descriptors};
use data::sources::{Row, RowValue};
use data::{Message, Record, Role};
use protocol::{Result, UserError};
use serde_json::{Map, Value, json};

fn row(value: Value) -> Row {
    let Value::Object(fields) = value else { panic!("an object") };
    Row { value: RowValue::Object(fields), file: std::path::Path::new("a.jsonl").into(), row: 7, offset: 0 }
}

fn read_with(id: &str, columns: &[(&str, &str)], value: Value) -> Result<Record> {
    let format = Format::find(id).unwrap();
    let columns: BTreeMap<_, _> =
        columns.iter().map(|(key, column)| ((*key).to_owned(), (*column).to_owned())).collect();
    (format.read)(&row(value), &FormatContext::new(&columns, format)?)
}

fn read(id: &str, value: Value) -> Record {
    read_with(id, &[], value).unwrap()
}

fn refusal(id: &str, value: Value) -> UserError {
    let err = read_with(id, &[], value).unwrap_err();
    assert_eq!(err.place.row, Some(7), "{err}");
    err
}

fn assert_says(err: &UserError, part: &str) {
    assert!(err.to_string().contains(part), "{err}");
}

fn says(role: Role, content: &str) -> Message {
    Message { role, content: content.to_owned(), extra: Map::new() }
}

fn chat(messages: &[(Role, &str)]) -> Record {
    let messages = messages.iter().map(|(role, content)| says(*role, content)).collect();
    Record::Conversation { messages, tools: None }
}

use Role::{Assistant, System, Tool, User};

#[test]
fn alpaca() {
    let full = json!({"instruction": "Add", "input": "1 2", "output": "3", "system": "Be brief",
        "history": [["Hi", "Hello"]]});
    let expected = chat(&[
        (System, "Be brief"),
        (User, "Hi"),
        (Assistant, "Hello"),
        (User, "Add\n1 2"),
        (Assistant, "3"),
    ]);
    assert_eq!(read("alpaca", full), expected);
    let bare = json!({"instruction": "Hi", "input": "", "output": "Hello", "history": [], "system": null});
    assert_eq!(read("alpaca", bare), chat(&[(User, "Hi"), (Assistant, "Hello")]));
    let dolly = json!({"instruction": "Sum up", "context": "Text", "response": "Short", "category": "x"});
    assert_eq!(read("alpaca", dolly), chat(&[(User, "Sum up\nText"), (Assistant, "Short")]));
    assert_says(&refusal("alpaca", json!({"instruction": "Hi"})), "no `output`; it has `instruction`");
    assert_says(
        &refusal("alpaca", json!({"instruction": ["Hi"], "output": "x"})),
        "`instruction` must be text, and is a list",
    );
    assert_says(
        &refusal("alpaca", json!({"instruction": "Hi", "output": "x", "history": [["a"]]})),
        "`history`",
    );
}

#[test]
fn sharegpt() {
    let turns = json!({"system": "S", "conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"},
        {"from": "User", "value": "More"}, {"from": "chatglm", "value": "Sure"}]});
    let expected =
        chat(&[(System, "S"), (User, "Hi"), (Assistant, "Hello"), (User, "More"), (Assistant, "Sure")]);
    assert_eq!(read("sharegpt", turns), expected);
    let pairs = json!({"conversation": [{"human": "你好", "assistant": "您好"}]});
    assert_eq!(read("sharegpt", pairs), chat(&[(User, "你好"), (Assistant, "您好")]));
    let own_system = json!({"system": "S", "conversations": [{"from": "system", "value": "T"}, {"from": "human", "value": "Hi"}]});
    assert_eq!(read("sharegpt", own_system), chat(&[(System, "T"), (User, "Hi")]));
    let odd =
        json!({"conversations": [{"from": "human", "value": "Hi"}, {"from": "narrator", "value": "…"}]});
    assert_says(&refusal("sharegpt", odd), "Turn 2 is by `narrator`");
    assert_says(&refusal("sharegpt", json!({"conversations": []})), "empty");
    assert_says(
        &refusal("sharegpt", json!({"conversations": [{"from": "human"}]})),
        "Turn 1 has no text under `value`",
    );
    assert_says(&refusal("sharegpt", json!({"text": "x"})), "no `conversations`; it has `text`");
}

#[test]
fn sharegpt_with_tools() {
    let value = json!({
        "conversations": [
            {"from": "human", "value": "Area?"},
            {"from": "function_call", "value": "{\"name\": \"area\", \"arguments\": {\"side\": 2}}"},
            {"from": "observation", "value": "4"},
            {"from": "gpt", "value": "It is 4"}],
        "tools": "[{\"name\": \"area\", \"parameters\": {}}]"});
    let Record::Conversation { messages, tools } = read("sharegpt", value) else { panic!() };
    let roles: Vec<_> = messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [User, Assistant, Tool, Assistant]);
    assert_eq!(messages[1].content, "");
    let call = json!([{"type": "function", "function": {"name": "area", "arguments": {"side": 2}}}]);
    assert_eq!(messages[1].extra["tool_calls"], call);
    let expected = json!([{"type": "function", "function": {"name": "area", "parameters": {}}}]);
    assert_eq!(tools, Some(expected));
    assert_says(
        &refusal("sharegpt", json!({"conversations": [{"from": "human", "value": "x"}], "tools": "[{"})),
        "`tools` is not valid JSON",
    );
}

#[test]
fn messages() {
    let value = json!({"messages": [{"role": "developer", "content": "S"}, {"role": "user", "content": "Hi", "name": "Ann"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "1"}]}, {"role": "tool", "content": "4"},
        {"role": "assistant", "content": [{"type": "text", "text": "It "}, {"type": "text", "value": "is 4"}]}]});
    let Record::Conversation { messages, tools: None } = read("messages", value) else { panic!() };
    let said: Vec<_> = messages.iter().map(|message| (message.role, message.content.as_str())).collect();
    assert_eq!(said, [(System, "S"), (User, "Hi"), (Assistant, ""), (Tool, "4"), (Assistant, "It is 4")]);
    assert_eq!(messages[1].extra["name"], "Ann");
    assert_eq!(messages[2].extra["tool_calls"], json!([{"id": "1"}]));
    let parts = json!({"conversation": [{"role": "assistant", "content": [{"type": "reasoning", "value": "hm"},
        {"type": "tool_call", "value": "{\"name\": \"f\", \"arguments\": \"{\\\"a\\\": 1}\"}"}, {"type": "text", "value": "so"}]}]});
    let Record::Conversation { messages, .. } = read("messages", parts) else { panic!() };
    assert_eq!(messages[0].content, "so");
    assert_eq!(messages[0].extra["reasoning_content"], "hm");
    assert_eq!(messages[0].extra["tool_calls"][0]["function"], json!({"name": "f", "arguments": {"a": 1}}));
    assert_says(&refusal("messages", json!({"messages": [{"role": "boss", "content": "x"}]})), "by `boss`");
    let image = json!({"messages": [{"role": "user", "content": [{"type": "image", "image": "x.png"}]}]});
    assert_says(&refusal("messages", image), "Message 1: a part of type `image` cannot be read");
    assert_says(&refusal("messages", json!({"messages": "x"})), "`messages` must be a list of objects");
    assert_says(&refusal("messages", json!({"messages": [{"content": "x"}]})), "Message 1 has no `role`");
    assert_says(
        &refusal("messages", json!({"messages": [{"role": "user"}]})),
        "must be text or a list of parts, and is null",
    );
}

#[test]
fn columns_by_name_and_by_expression() {
    let paper = json!({"title": "T", "abstract": "A", "keywords": "K", "Best Answer": 4});
    let map = [
        ("prompt", "title:{{title}},abstract:{{abstract}}\n"),
        ("response", "keywords"),
        ("system", "{{ 'S' }}"),
    ];
    let expected = chat(&[(System, "S"), (User, "title:T,abstract:A\n"), (Assistant, "K")]);
    assert_eq!(read_with("columns", &map, paper.clone()).unwrap(), expected);
    let spaced = [("prompt", "title"), ("query", "abstract"), ("response", "{{ row['Best Answer'] }}!")];
    assert_eq!(
        read_with("columns", &spaced, paper.clone()).unwrap(),
        chat(&[(User, "T\nA"), (Assistant, "4!")])
    );
    let chinese = read_with(
        "columns",
        &[("prompt", "{{ 标题 | upper }}"), ("response", "回答")],
        json!({"标题": "a", "回答": "b"}),
    );
    assert_eq!(chinese.unwrap(), chat(&[(User, "A"), (Assistant, "b")]));
    assert_eq!(
        read("columns", json!({"question": "Q", "std_answer": "A"})),
        chat(&[(User, "Q"), (Assistant, "A")])
    );
    let with_history = json!({"prompt": "Q", "response": "A", "history": "[[\"a\", \"b\"]]"});
    assert_eq!(
        read("columns", with_history),
        chat(&[(User, "a"), (Assistant, "b"), (User, "Q"), (Assistant, "A")])
    );
}

#[test]
fn column_maps_that_do_not_fit_are_refused() {
    let paper = || json!({"title": "T", "abstract": "A"});
    let fail = |columns: &[(&str, &str)]| read_with("columns", columns, paper()).unwrap_err();
    assert_says(&fail(&[("prompt", "titel"), ("response", "title")]), "did you mean `title`?");
    assert_says(&fail(&[("promt", "title")]), "did you mean `prompt`?");
    assert_says(&fail(&[("prompt", "{{ titel }}"), ("response", "title")]), "undefined");
    assert_says(
        &fail(&[("prompt", "{{ title"), ("response", "title")]),
        "The expression for `prompt` failed",
    );
    assert_says(&fail(&[("prompt", "title")]), "no `response`");
    assert_says(&refusal("columns", json!({"prompt": "x", "response": null})), "null");
}

#[test]
fn expressions_end() {
    let fail = |expression: &str| {
        let columns = [("prompt", expression), ("response", "b")];
        read_with("columns", &columns, json!({"a": "x", "b": "y"})).unwrap_err()
    };
    assert_says(
        &fail("{% for i in range(10000) %}{% for j in range(10000) %}{{ i }}{% endfor %}{% endfor %}"),
        "fuel",
    );
    let big = "{% set s = a * 10000000 %}{{ s }}{{ s }}";
    assert_says(&fail(big), "data.columns.prompt");
}

#[test]
fn completion_text_and_tokens() {
    let completion = Record::Completion { prompt: "1+1=".into(), completion: "2".into() };
    assert_eq!(read("completion", json!({"prompt": "1+1=", "completion": "2"})), completion);
    assert_eq!(read("completion", json!({"prompt": "1+1=", "response": 2})), completion);
    assert_eq!(read("text", json!({"text": "Once"})), Record::Text("Once".into()));
    assert_eq!(
        read_with("text", &[("text", "body")], json!({"body": "Once"})).unwrap(),
        Record::Text("Once".into())
    );
    let tokens =
        |ids: &[u32], labels: &[i32]| Record::Tokens { input_ids: ids.to_vec(), labels: labels.to_vec() };
    assert_eq!(
        read("tokens", json!({"input_ids": [1, 2, 3], "labels": [-100, 2, 3]})),
        tokens(&[1, 2, 3], &[-100, 2, 3])
    );
    assert_eq!(read("tokens", json!({"input_ids": [1, 2]})), tokens(&[1, 2], &[1, 2]));
    let padded = json!({"input_ids": [1, 2, 0], "labels": [-100, 2, -100], "attention_mask": [1, 1, 0]});
    assert_eq!(read("tokens", padded), tokens(&[1, 2], &[-100, 2]));
    assert_says(&refusal("tokens", json!({"input_ids": [1, 2], "labels": [1]})), "2 input_ids, 1 labels");
    assert_says(&refusal("tokens", json!({"input_ids": [1, -2]})), "holds -2");
    assert_says(&refusal("tokens", json!({"input_ids": [4_294_967_296_i64]})), "holds 4294967296");
    assert_says(&refusal("tokens", json!({"input_ids": [1], "labels": [-1]})), "`labels` holds -1");
    assert_says(&refusal("tokens", json!({"input_ids": [1.5]})), "whole numbers");
    assert_says(&refusal("tokens", json!({"input_ids": []})), "empty");
}

/// A question's prefix, by every format that has questions.
#[test]
fn a_prefix_stands_in_front_of_the_first_question() {
    let read = |id: &str, value: Value| {
        let format = Format::find(id).unwrap();
        let context = FormatContext::new(&BTreeMap::new(), format).unwrap().with_prefix("P:");
        (format.read)(&row(value), &context).unwrap()
    };
    let turns = [(User, "P:a"), (Assistant, "b"), (User, "c"), (Assistant, "d")];
    assert_eq!(
        read("columns", json!({"prompt": "c", "response": "d", "history": [["a", "b"]]})),
        chat(&turns)
    );
    let system = json!({"system": "S", "instruction": "c", "output": "d"});
    assert_eq!(read("alpaca", system), chat(&[(System, "S"), (User, "P:c"), (Assistant, "d")]));
    let completion = Record::Completion { prompt: "P:a".into(), completion: "b".into() };
    assert_eq!(read("completion", json!({"prompt": "a", "completion": "b"})), completion);
}

/// The chat APIs send arguments as a string; templates want the object.
#[test]
fn arguments_of_calls_become_objects() {
    let call = json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}});
    let value = json!({"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "4"}], "tools": [{"type": "function", "function": {"name": "f"}}]});
    let Record::Conversation { messages, tools } = read("messages", value) else { panic!() };
    let wanted = json!([{"id": "c1", "type": "function", "function": {"name": "f", "arguments": {"x": 1}}}]);
    assert_eq!(messages[1].extra["tool_calls"], wanted);
    assert_eq!(messages[2].extra["tool_call_id"], "c1");
    assert!(tools.is_some());
    let odd = json!({"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "x="}}]}]});
    let Record::Conversation { messages, .. } = read("messages", odd) else { panic!() };
    assert_eq!(messages[0].extra["tool_calls"][0]["function"]["arguments"], "x=");
}

fn answers(id: &str, value: Value) -> Result<Vec<(String, Record)>> {
    let format = Format::find(id).unwrap();
    let context = FormatContext::new(&BTreeMap::new(), format).unwrap();
    let answers = (format.judged.as_ref().unwrap().answers)(&row(value), &context)?;
    Ok(answers.into_iter().map(|(said, record)| (said.en.into_owned(), record)).collect())
}

#[test]
fn pairs_of_every_shape_show_both_answers() {
    let good = chat(&[(User, "Hi"), (Assistant, "Hello")]);
    let bad = chat(&[(User, "Hi"), (Assistant, "Go away")]);
    let turn = |from: &str, value: &str| json!({"from": from, "value": value});
    let said = |role: &str, content: &str| json!({"role": role, "content": content});
    let whole = |answer: &str| json!([said("user", "Hi"), said("assistant", answer)]);
    for pair in [
        json!({"prompt": "Hi", "chosen": "Hello", "rejected": "Go away"}),
        json!({"instruction": "Hi", "input": "", "chosen": "Hello", "rejected": "Go away"}),
        json!({"conversations": [turn("human", "Hi")], "chosen": turn("gpt", "Hello"), "rejected": turn("gpt", "Go away")}),
        json!({"chosen": whole("Hello"), "rejected": whole("Go away")}),
        json!({"prompt": "Hi", "chosen": whole("Hello"), "rejected": whole("Go away")}),
        json!({"prompt": [said("user", "Hi")], "chosen": [said("assistant", "Hello")], "rejected": [said("assistant", "Go away")]}),
        json!({"chosen_messages": whole("Hello"), "rejected_messages": whole("Go away")}),
    ] {
        let expected =
            [("The chosen answer".to_owned(), good.clone()), ("The rejected answer".to_owned(), bad.clone())];
        assert_eq!(answers("preference", pair.clone()).unwrap(), expected, "{pair}");
        assert_eq!(read("preference", pair), good);
    }
    let input = json!({"instruction": "Add", "input": "1 2", "system": "S", "chosen": "3", "rejected": "4"});
    assert_eq!(
        answers("preference", input).unwrap()[1].1,
        chat(&[(System, "S"), (User, "Add\n1 2"), (Assistant, "4")])
    );
    assert_says(&answers("preference", json!({"prompt": "a", "chosen": "b"})).unwrap_err(), "no `rejected`");
    assert_says(
        &answers("preference", json!({"prompt": 3, "chosen": "b", "rejected": "c"})).unwrap_err(),
        "a number",
    );
}

#[test]
fn feedback_tells_what_was_said_of_an_answer() {
    let good = chat(&[(User, "Hi"), (Assistant, "Hello")]);
    for (value, mark) in [
        (json!({"prompt": "Hi", "completion": "Hello", "label": true}), "good"),
        (json!({"instruction": "Hi", "input": "", "output": "Hello", "kto_tag": false}), "bad"),
        (
            json!({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}], "label": true}),
            "good",
        ),
    ] {
        assert_eq!(
            answers("feedback", value).unwrap(),
            [(format!("Marked as a {mark} answer"), good.clone())]
        );
    }
    assert_says(
        &answers("feedback", json!({"prompt": "Hi", "completion": "a", "label": 1})).unwrap_err(),
        "true or false",
    );
}

#[test]
fn dicts_may_be_written_by_an_expression() {
    let table = json!({"text": "a < \"b\"", "wrong": "x", "right": "y"});
    let expression = "{\"input\": {{ text | tojson }}, \"options\": {\"<option_0>\": {{ wrong | tojson }}, \"<option_1>\": \
                      {{ right | tojson }}}, \"<ans>\": \"<option_1>\"}";
    let Record::Dict(data) = read_with("cpm-bee", &[("dict", expression)], table.clone()).unwrap() else {
        panic!()
    };
    let wanted = json!({"input": "a < \"b\"", "options": {"<option_0>": "x", "<option_1>": "y"}, "<ans>": "<option_1>"});
    assert_eq!(serde_json::to_string(&data).unwrap(), serde_json::to_string(&wanted).unwrap());
    let fail = |expression: &str| read_with("cpm-bee", &[("dict", expression)], table.clone()).unwrap_err();
    assert_says(&fail("{\"input\": {{ text }}}"), "must be a JSON object");
    assert_says(&fail("[{{ 1 }}]"), "a list");
    assert_says(&fail("{\"input\": {{ text | tojson }}}"), "no `<ans>`");
}

#[test]
fn every_format_describes_itself_in_both_languages() {
    let all = descriptors();
    assert_eq!(all.len(), 10);
    for format in all {
        assert!(!format.params.is_empty(), "{}", format.id);
        for text in
            [&format.name, &format.help].into_iter().chain(format.params.iter().map(|param| &param.help))
        {
            assert!(!text.en.is_empty() && !text.zh.is_empty(), "{}", format.id);
        }
    }
}

//! The files inside the program.

use std::path::Path;

use data::{Library, Record, Silent, presets};
use protocol::Preset;
use protocol::config::{DataConfig, parse_run_file};

use crate::common::root;
use crate::support::{Folder, Words};

/// Ids of the files that lie in a folder of `presets`.
fn on_disk(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join("presets").join(folder)).unwrap();
    let mut ids: Vec<String> = entries
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    ids.sort_unstable();
    ids
}

fn ids(presets: &[Preset]) -> Vec<String> {
    let mut ids: Vec<String> = presets.iter().map(|preset| preset.id.clone()).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn every_file_is_offered_and_says_what_it_is() {
    let all = [
        ("recipes", presets::recipes()),
        ("datasets", presets::column_maps()),
        ("templates", presets::templates()),
    ];
    for (folder, presets) in all {
        assert_eq!(ids(&presets), on_disk(folder));
        for preset in presets {
            for text in
                [&preset.name.en, &preset.name.zh, &preset.help.en, &preset.help.zh, &preset.source.into()]
            {
                assert!(!text.trim().is_empty(), "{folder}/{} says nothing", preset.id);
            }
        }
    }
}

/// Tables that the column maps are for, and the conversation or text of their first row.
const TABLES: [(&str, &str, &str); 7] = [
    ("instruction", "instruction,input,output\nSay it,twice,it it\n", "Say it\ntwice|it it"),
    ("question", "question,answer\nWhy?,So.\n", "Why?|So."),
    ("completion", "prompt,completion\nOnce,upon\n", "Once|upon"),
    ("title", "title,text\nRivers,They flow.\n", "# Rivers\n\n|They flow."),
    (
        "paper",
        "uuid,title,author,abstract,label\n1,On hearts,Li,They beat.,1\n",
        "Please judge whether it is a medical field paper according to the given paper title and abstract, output 1 or 0, \
         the following is the paper title and abstract -->\ntitle:On hearts,abstract:They beat.|1",
    ),
    (
        "choice",
        "target,input\n2,\"[翻译]灯又亮了。[0]\"\"一\"\"[1]二<[2]三[3]四[答案]\"\n",
        "{\"input\":\"灯又亮了。\",\"options\":{\"<option_0>\":\"\\\"一\\\"\",\"<option_1>\":\"二<\",\"<option_2>\":\"三\",\
         \"<option_3>\":\"四\"},\"question\":\"这段话形容了哪句诗的意境？\",\"<ans>\":\"<option_2>\"}",
    ),
    ("summary", "document,summary\nA long text.,Short.\n", "A long text.|Short."),
];

#[test]
fn column_maps_read_their_tables() {
    assert_eq!(TABLES.len(), presets::column_maps().len());
    for (id, table, wanted) in TABLES {
        let preset = presets::column_maps().into_iter().find(|preset| preset.id == id).unwrap();
        let map = parse_run_file(&preset.source, Path::new(id)).unwrap().data;
        let (folder, _) = Folder::with("a.csv", table);
        let config = DataConfig { train: vec!["a.csv".into()], ..map };
        let words = std::sync::Arc::new(Words::default());
        let dataset = Library::default().dataset(&config, folder.path(), words, &Silent).unwrap();
        let read = match dataset.record(0).unwrap() {
            Record::Conversation { messages, .. } => {
                messages.iter().map(|message| message.content.clone()).collect::<Vec<_>>().join("|")
            }
            Record::Completion { prompt, completion } => format!("{prompt}|{completion}"),
            Record::Dict(data) => serde_json::to_string(&data).unwrap(),
            other => panic!("{id}: {other:?}"),
        };
        assert_eq!(read, wanted, "{id}");
    }
}

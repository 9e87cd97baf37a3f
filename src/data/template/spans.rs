//! Which parts of a rendering come from which message.
//!
//! The rendering itself tells. A mark, one character of Unicode's private planes, is put in front of and
//! behind each message's content, inside its outer whitespace so that `trim` still works; the template
//! runs a second time; and if taking the marks out gives exactly the plain rendering, the places where
//! they stood are the places of the contents. Where a template looks into a content (to cut reasoning
//! out of it, say) and a mark is lost or changes the outcome, the mark is moved inwards to the first
//! place where it survives. Contents are never searched for in the text.
//!
//! An answer begins where the rendering of what precedes it, with the generation prompt, ends: that is
//! what the model will be given. If that rendering is no prefix of the whole (a template rewrote the
//! past), what it has after the content of the message before is compared with what the whole has
//! there; if that differs too (a generation prompt that says more than past turns do), the answer begins
//! at its content, or, without content, where an ordinary answer in its place would have it.

use std::ops::Range;

use protocol::{Result, Text, UserError, text};

use super::{Chat, ChatTemplate, MessageValue};
use crate::record::{Message, Role};

/// Marks around what stands in `{% generation %}` tags.
pub(super) const GENERATION_BEGINS: char = '\u{f0000}';
pub(super) const GENERATION_ENDS: char = '\u{f0001}';
/// Marks around the content of message i: this plus 2i, and the one after it.
const FIRST_MARK: u32 = 0x10_0000;
/// The last plane ends with two code points that are no characters.
const MAX_MESSAGES: usize = 0xfffe / 2;

/// A rendering and where its parts come from. All places are byte positions in `text`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    pub text: String,
    /// By message: its content without outer whitespace; None where it is empty or not written out.
    pub contents: Vec<Option<Range<usize>>>,
    /// What the model writes, in the order of the messages. With generation tags only the last answer,
    /// if it can be told.
    pub answers: Vec<Answer>,
    /// What stands in generation tags, where the template has them.
    pub generated: Option<Vec<Range<usize>>>,
}

/// One message of the assistant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Index of the message.
    pub message: usize,
    /// Where the model begins to write.
    pub start: usize,
    /// Where the message's content ends.
    pub content_end: Option<usize>,
    /// Where the turn ends with all that the template writes after it, if the template shows it.
    pub turn_end: Option<usize>,
    /// The turn does not reach beyond this.
    pub limit: usize,
}

pub(super) fn trace(template: &ChatTemplate, chat: &Chat<'_>) -> Result<Rendered> {
    let chat = Chat { add_generation_prompt: false, continue_final_message: false, ..*chat };
    let plain = template.render_here(&chat)?;
    refuse_marks(&plain, &chat)?;
    let tracer = Tracer { template, chat, plain: &plain };
    let (mut contents, marks) = tracer.contents();
    let generated = template.has_generation_tags().then(|| marks.and_then(|marks| generated(&marks)));
    let generated = generated.map(|ranges| ranges.ok_or_else(|| tracer.hidden(0))).transpose()?;
    let answers = tracer.answers(&mut contents, generated.is_some())?;
    let contents = contents.into_iter().map(Edges::range).collect();
    Ok(Rendered { contents, answers, generated, text: plain })
}

/// Where a content begins and ends, as far as known.
#[derive(Clone, Copy, Debug, Default)]
struct Edges {
    start: Option<usize>,
    end: Option<usize>,
}

impl Edges {
    fn range(self) -> Option<Range<usize>> {
        Some(self.start?..self.end?).filter(|range| range.start < range.end)
    }
}

/// A mark and its byte position: in a message's content when given, in the plain rendering when found.
#[derive(Clone, Copy, Debug)]
struct Mark {
    sign: char,
    at: usize,
}

#[derive(Clone, Copy)]
enum Edge {
    Start,
    End,
}

impl Edge {
    fn sign(self, message: usize) -> char {
        let offset = 2 * message as u32 + u32::from(matches!(self, Self::End));
        // In range: there are at most MAX_MESSAGES messages.
        char::from_u32(FIRST_MARK + offset).unwrap_or(char::MAX)
    }
}

struct Tracer<'a> {
    template: &'a ChatTemplate,
    chat: Chat<'a>,
    plain: &'a str,
}

impl Tracer<'_> {
    /// The contents of all messages, and all marks of one rendering (those of generation tags at least).
    fn contents(&self) -> (Vec<Edges>, Option<Vec<Mark>>) {
        let count = self.chat.messages.len();
        let both = |message| [(message, Edge::Start), (message, Edge::End)];
        let all: Vec<_> = (0..count).flat_map(both).collect();
        let mut edges = vec![Edges::default(); count];
        let mut marks = self.place(&all);
        match &marks {
            Some(marks) => (0..count).for_each(|message| edges[message] = edges_of(message, marks)),
            None => {
                marks = self.place(&[]);
                for (message, edges) in edges.iter_mut().enumerate() {
                    if let Some(found) = self.place(&both(message)) {
                        *edges = edges_of(message, &found);
                    }
                }
            }
        }
        (edges, marks)
    }

    /// Renders with marks at edges of contents; their places in the plain rendering, if the marked one
    /// is otherwise the same.
    fn place(&self, edges: &[(usize, Edge)]) -> Option<Vec<Mark>> {
        let at = |(message, edge): &(usize, Edge)| {
            let range = trimmed(&self.chat.messages[*message])?;
            let at = if matches!(edge, Edge::Start) { range.start } else { range.end };
            Some((*message, Mark { sign: edge.sign(*message), at }))
        };
        self.place_at(&edges.iter().filter_map(at).collect::<Vec<_>>())
    }

    /// `marks` are in the order of their places.
    fn place_at(&self, marks: &[(usize, Mark)]) -> Option<Vec<Mark>> {
        let mut messages: Vec<MessageValue> = self.template.messages(&self.chat);
        for own in marks.chunk_by(|a, b| a.0 == b.0) {
            let message = own[0].0;
            messages[message].set_content(insert(&self.chat.messages[message].content, own));
        }
        let marked = self.template.render_values(&self.chat, messages, true).ok()?;
        let (text, found) = take_out(&marked);
        (text == self.plain).then_some(found)
    }

    fn answers(&self, contents: &mut [Edges], tagged: bool) -> Result<Vec<Answer>> {
        let messages = self.chat.messages.iter().enumerate();
        let mut spoken: Vec<usize> =
            messages.filter(|(_, message)| message.role == Role::Assistant).map(|(index, _)| index).collect();
        if tagged {
            spoken.drain(..spoken.len().saturating_sub(1));
        }
        let mut answers = Vec::with_capacity(spoken.len());
        for message in spoken {
            match self.answer(message, contents) {
                Some(answer) => answers.push(answer),
                None if tagged => {}
                None => return Err(self.hidden(message)),
            }
        }
        Ok(answers)
    }

    fn answer(&self, message: usize, contents: &mut [Edges]) -> Option<Answer> {
        let prompt_end = self.prefix(message, true).or_else(|| self.local_prefix(message, contents));
        let edges = &mut contents[message];
        if edges.end.is_none() {
            edges.end = self.search(message, Edge::End);
        }
        if edges.start.is_none() && prompt_end.is_none() {
            edges.start = self.search(message, Edge::Start);
        }
        let edges = *edges;
        let start = prompt_end.or(edges.start).or_else(|| self.twin_prefix(message, contents))?;
        let content_end = edges.end.filter(|end| *end >= start);
        let last = message + 1 == self.chat.messages.len();
        let shown = || self.prefix(message + 1, false).filter(|end| *end >= content_end.unwrap_or(start));
        let turn_end = if last { Some(self.plain.len()) } else { shown() };
        let next = contents[message + 1..].iter().filter_map(|edges| edges.start).find(|next| *next >= start);
        let limit = turn_end.or(next).unwrap_or(self.plain.len());
        Some(Answer { message, start, content_end, turn_end, limit })
    }

    /// Length of the rendering of the first `count` messages, if the whole begins with it.
    fn prefix(&self, count: usize, add_generation_prompt: bool) -> Option<usize> {
        let messages = &self.chat.messages[..count];
        let text = self.template.render_here(&Chat { messages, add_generation_prompt, ..self.chat }).ok()?;
        self.plain.starts_with(&text).then_some(text.len())
    }

    /// The end of the generation prompt, told by what follows the content of the message before.
    fn local_prefix(&self, message: usize, contents: &[Edges]) -> Option<usize> {
        let before = message.checked_sub(1)?;
        let end = contents[before].end?;
        let chat =
            Chat { messages: &self.chat.messages[..message], add_generation_prompt: true, ..self.chat };
        let plain = self.template.render_here(&chat).ok()?;
        let prompt = Tracer { template: self.template, chat, plain: &plain };
        let marks = prompt.place(&[(before, Edge::End)])?;
        let after = &plain[edges_of(before, &marks).end?..];
        self.plain[end..].starts_with(after).then_some(end + after.len())
    }

    /// Where a message without content (a tool call, say) begins: where an ordinary answer in its place
    /// has its content.
    fn twin_prefix(&self, message: usize, contents: &[Edges]) -> Option<usize> {
        let twin = Message { role: Role::Assistant, content: "x".to_owned(), extra: serde_json::Map::new() };
        let at = |count: usize| {
            let mut messages = self.chat.messages[..count].to_vec();
            messages[message] = twin.clone();
            let chat = Chat { messages: &messages, ..self.chat };
            let plain = self.template.render_here(&chat).ok()?;
            let tracer = Tracer { template: self.template, chat, plain: &plain };
            let before = message.checked_sub(1);
            let edges: Vec<_> = before
                .map(|before| (before, Edge::End))
                .into_iter()
                .chain([(message, Edge::Start)])
                .collect();
            let marks = tracer.place(&edges)?;
            let start = edges_of(message, &marks).start?;
            if self.plain.starts_with(&plain[..start]) {
                return Some(start);
            }
            let header = &plain[edges_of(before?, &marks).end?..start];
            let end = contents[before?].end?;
            self.plain[end..].starts_with(header).then_some(end + header.len())
        };
        at(self.chat.messages.len()).or_else(|| at(message + 1))
    }

    /// The outermost place within a content where a mark survives: the template dropped what lies
    /// outside of it, or looked at it. Only one end can be cut, so the places are found by bisection.
    fn search(&self, message: usize, edge: Edge) -> Option<usize> {
        let content = &self.chat.messages[message].content;
        let range = trimmed(&self.chat.messages[message])?;
        let places: Vec<usize> =
            range.clone().chain([range.end]).filter(|at| content.is_char_boundary(*at)).collect();
        let survives = |index: usize| {
            let mark = Mark { sign: edge.sign(message), at: places[index] };
            let found = self.place_at(&[(message, mark)])?;
            found.iter().rfind(|found| found.sign == mark.sign).map(|found| found.at)
        };
        let last = places.len() - 1;
        let seeds = [0, last, last / 2, last / 4, last - last / 4];
        let (mut inside, mut place) = seeds.into_iter().find_map(|seed| Some((seed, survives(seed)?)))?;
        let mut outside = if matches!(edge, Edge::Start) { 0 } else { last };
        if let Some(place) = survives(outside) {
            return Some(place);
        }
        while inside.abs_diff(outside) > 1 {
            let middle = usize::midpoint(inside, outside);
            match survives(middle) {
                Some(found) => (inside, place) = (middle, found),
                None => outside = middle,
            }
        }
        Some(place)
    }

    fn hidden(&self, message: usize) -> UserError {
        let number = message + 1;
        UserError::bad_input(text!(
            "The chat template does not show what it makes of message {number}, so what the model should learn cannot be told",
            "聊天模板没有表明如何呈现第 {number} 条消息，无法确定模型应学习的内容"
        ))
        .in_file(self.template.file())
        .mend(Text::fixed(
            "put {% generation %} … {% endgeneration %} around what the assistant writes in the template, or choose a preset with data.template",
            "请在模板中用 {% generation %} … {% endgeneration %} 包住助手的输出，或用 data.template 选择一个预设",
        ))
    }
}

/// A content without its outer whitespace; None where there is nothing to mark.
fn trimmed(message: &Message) -> Option<Range<usize>> {
    let content = &message.content;
    let start = content.len() - content.trim_start().len();
    let end = content.trim_end().len();
    (start < end && !message.extra.contains_key("content")).then_some(start..end)
}

fn insert(content: &str, marks: &[(usize, Mark)]) -> String {
    let mut out = String::with_capacity(content.len() + 4 * marks.len());
    let mut at = 0;
    for (_, mark) in marks {
        out.push_str(&content[at..mark.at]);
        out.push(mark.sign);
        at = mark.at;
    }
    out.push_str(&content[at..]);
    out
}

fn is_mark(c: char) -> bool {
    c as u32 >= FIRST_MARK || c == GENERATION_BEGINS || c == GENERATION_ENDS
}

/// The text without marks, and where they stood in it.
fn take_out(marked: &str) -> (String, Vec<Mark>) {
    let mut text = String::with_capacity(marked.len());
    let mut marks = Vec::new();
    for c in marked.chars() {
        if is_mark(c) {
            marks.push(Mark { sign: c, at: text.len() });
        } else {
            text.push(c);
        }
    }
    (text, marks)
}

/// A template may write a content twice; the last time counts.
fn edges_of(message: usize, marks: &[Mark]) -> Edges {
    let last = |edge: Edge| marks.iter().rfind(|mark| mark.sign == edge.sign(message)).map(|mark| mark.at);
    let (start, end) = (last(Edge::Start), last(Edge::End));
    Edges { start: start.filter(|start| end.is_none_or(|end| *start <= end)), end }
}

/// Ranges between the marks of generation tags; None if they do not pair up.
fn generated(marks: &[Mark]) -> Option<Vec<Range<usize>>> {
    let mut ranges = Vec::new();
    let mut open = None;
    for mark in marks {
        match (mark.sign, open) {
            (GENERATION_BEGINS, None) => open = Some(mark.at),
            (GENERATION_ENDS, Some(start)) => {
                ranges.push(start..mark.at);
                open = None;
            }
            (GENERATION_BEGINS | GENERATION_ENDS, _) => return None,
            _ => {}
        }
    }
    open.is_none().then_some(ranges)
}

fn refuse_marks(plain: &str, chat: &Chat<'_>) -> Result<()> {
    if chat.messages.len() > MAX_MESSAGES {
        return Err(UserError::bad_input(text!(
            "A conversation may have at most {MAX_MESSAGES} messages",
            "一个对话最多包含 {MAX_MESSAGES} 条消息"
        )));
    }
    let texts = chat.messages.iter().map(|message| message.content.as_str()).chain([plain]);
    match texts.flat_map(str::chars).find(|c| is_mark(*c)) {
        None => Ok(()),
        Some(found) => {
            let code = found as u32;
            Err(UserError::bad_input(text!(
                "The conversation holds the private character U+{code:X}, which is needed to mark its parts",
                "对话中含有私用字符 U+{code:X}，而该字符用于标记对话的各部分"
            ))
            .mend(Text::fixed("remove the character", "请删除该字符")))
        }
    }
}

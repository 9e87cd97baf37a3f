//! Which language a row is in.
//!
//! Latin, Cyrillic and other scripts that several languages share: the `whatlang` crate, where it is sure or the text is
//! long. Chinese is told as simplified or traditional by characters that only one of the two has. What is short, mostly
//! signs or digits, or code, cannot be told.

use std::collections::HashSet;
use std::sync::LazyLock;

use protocol::Text;
use whatlang::{Lang, detect};

use super::said::Said;
use super::units::{is_han, stands_alone};

/// Characters of a row that are looked at.
const LOOKED_AT: usize = 2000;
/// Letters that a text has at least; a Chinese character counts as four.
const LETTERS: usize = 16;
const LETTERS_OF_CHARACTER: usize = 4;
/// Share of letters in what is visible.
const LEAST_LETTERS: f64 = 0.6;
/// Share of signs that programs are full of.
const MOST_SIGNS: f64 = 0.08;
/// Letters from which the best guess is taken.
const LONG: usize = 80;
/// How sure the guess must be then, from 0 to 1.
const LEAST_SURE: f64 = 0.2;

/// ISO 639-3, for Chinese with the script behind it (`cmn-Hans`, `cmn-Hant`); empty where it cannot be told.
pub type Code = &'static str;

/// The language of what is said in a row.
pub fn of(said: &[Said<'_>]) -> Code {
    let text = looked_at(said);
    let (mut letters, mut visible, mut signs) = (0, 0, 0);
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        visible += 1;
        letters += usize::from(c.is_alphabetic());
        signs += usize::from(matches!(
            c,
            '{' | '}' | '[' | ']' | '<' | '>' | '(' | ')' | ';' | '=' | '_' | '\\' | '|'
        ));
    }
    let characters = text.chars().filter(|c| stands_alone(*c)).count();
    let weight = letters + characters * (LETTERS_OF_CHARACTER - 1);
    let is_prose =
        letters as f64 >= LEAST_LETTERS * visible as f64 && signs as f64 <= MOST_SIGNS * visible as f64;
    if weight < LETTERS || !is_prose {
        return "";
    }
    match detect(&text) {
        Some(found) if found.lang() == Lang::Cmn => chinese(&text),
        Some(found) if found.is_reliable() => found.lang().code(),
        Some(found) if letters >= LONG && found.confidence() >= LEAST_SURE => found.lang().code(),
        _ => "",
    }
}

/// The beginnings of all texts, without blocks of code and addresses.
fn looked_at(said: &[Said<'_>]) -> String {
    let share = LOOKED_AT / said.len().max(1);
    let mut text = String::new();
    for said in said {
        let outside = said.text.split("```").step_by(2);
        let words = outside.flat_map(|prose| prose.split_inclusive(char::is_whitespace));
        let prose = words.filter(|word| !word.contains("://")).flat_map(str::chars);
        text.extend(prose.take(share));
        text.push('\n');
    }
    text
}

fn chinese(text: &str) -> Code {
    let count = |of: &HashSet<char>| text.chars().filter(|c| is_han(*c) && of.contains(c)).count();
    match count(&SIMPLIFIED).cmp(&count(&TRADITIONAL)) {
        std::cmp::Ordering::Greater => "cmn-Hans",
        std::cmp::Ordering::Less => "cmn-Hant",
        std::cmp::Ordering::Equal => "cmn",
    }
}

/// Whether a code is among those that are wanted: `cmn` is all of Chinese.
pub fn is_among(code: &str, wanted: &[String]) -> bool {
    let is = |wanted: &String| {
        code == wanted
            || (!wanted.is_empty()
                && code.strip_prefix(wanted.as_str()).is_some_and(|rest| rest.starts_with('-')))
    };
    wanted.iter().any(is)
}

/// The commonest characters that differ: simplified, traditional. Those whose simplified form is also a traditional
/// character of its own (后, 里, 面, 只, 干, 台, 系) are left out.
const PAIRS: &str = "们們这這个個国國说說时時会會对對发發过過还還进進长長来來为為问問间間关關开開见見动動现現点點样樣东東车車\
    气氣电電话話语語书書学學习習觉覺让讓认認识識请請谢謝读讀写寫听聽买買卖賣钱錢银銀铁鐵错錯门門闻聞马馬鸟鳥鱼魚龙龍龟龜飞飛饭飯饮飲\
    馆館头頭实實业業专專两兩严嚴丰豐临臨举舉义義乐樂书書亚亞产產亲親仅僅从從仓倉仪儀价價众眾优優伟偉传傳伤傷伦倫债債倾傾儿兒养養兰蘭\
    兴興冲沖决決况況净淨减減刘劉则則刚剛创創别別办辦务務劳勞势勢华華协協单單卫衛却卻厂廠厅廳历歷压壓厉厲县縣参參双雙变變叶葉号號叹嘆\
    吗嗎启啟员員响響团團园園围圍图圖圆圓圣聖场場坏壞块塊坚堅声聲处處备備复復够夠夺奪奋奮妇婦妈媽娱娛孙孫宁寧宝寶审審宽寬宾賓寻尋导導\
    将將尔爾尝嘗层層属屬岁歲岛島师師帅帥带帶帮幫广廣庆慶库庫应應庙廟废廢张張弯彎弹彈强強归歸当當录錄彻徹径徑忆憶忧憂怀懷态態总總恋戀\
    恶惡悬懸惊驚惯慣愿願战戰户戶执執扩擴扫掃扬揚护護报報担擔择擇挥揮损損换換据據摄攝数數断斷无無旧舊显顯晓曉术術机機杀殺杂雜权權条條\
    极極构構标標树樹检檢楼樓欢歡欧歐毕畢汉漢汇匯沟溝没沒泽澤测測济濟浅淺浓濃润潤渐漸温溫湾灣满滿灭滅灵靈炼煉热熱爱愛爷爺状狀独獨狮獅\
    玛瑪环環画畫疗療监監盘盤确確础礎离離种種积積称稱稳穩穷窮竞競笔筆签簽简簡类類粮糧紧緊红紅约約级級纪紀纯純纳納纸紙线線练練组組细細终終\
    经經结結给給络絡绝絕统統继繼续續维維绿綠编編缩縮网網罗羅联聯职職肤膚胜勝脑腦脚腳节節艺藝苏蘇药藥获獲虑慮虽雖补補装裝规規视視览覽\
    计計订訂训訓议議记記讲講许許论論设設访訪证證评評词詞译譯试試诗詩话話该該详詳误誤课課调調谁誰谈談谋謀贝貝负負财財责責败敗货貨质質购購\
    贵貴费費资資赛賽赞贊赶趕跃躍践踐轮輪软軟轻輕载載较較辆輛输輸辑輯边邊达達迁遷运運近近远遠连連迟遲选選递遞逻邏遗遺邮郵邻鄰释釋针針钟鐘\
    钢鋼铃鈴链鏈销銷锁鎖键鍵镇鎮镜鏡闪閃闭閉闲閒阅閱队隊阳陽阴陰阵陣阶階际際陆陸险險随隨隐隱难難韩韓页頁项項顺順须須顾顧预預领領频頻题題\
    颜顏额額风風饿餓驶駛驻駐验驗骑騎鲜鮮鸡雞麦麥黄黃齐齊齿齒";

static SIMPLIFIED: LazyLock<HashSet<char>> = LazyLock::new(|| side(0));
static TRADITIONAL: LazyLock<HashSet<char>> = LazyLock::new(|| side(1));

fn side(which: usize) -> HashSet<char> {
    let characters: Vec<char> = PAIRS.chars().filter(|c| is_han(*c)).collect();
    let pairs = characters.chunks_exact(2).filter(|pair| pair[0] != pair[1]);
    pairs.map(|pair| pair[which]).collect()
}

/// A language's name in both languages.
pub fn name(code: &str) -> Text {
    match code {
        "" => Text::fixed("cannot be told", "无法判断"),
        "cmn-Hans" => Text::fixed("Chinese, simplified", "中文（简体）"),
        "cmn-Hant" => Text::fixed("Chinese, traditional", "中文（繁体）"),
        "cmn" => Text::fixed("Chinese", "中文"),
        _ => {
            let english = Lang::from_code(code).map_or(code, |lang| lang.eng_name());
            let chinese = CHINESE.iter().find(|(known, _)| *known == code).map_or(english, |(_, name)| name);
            Text::new(english, chinese)
        }
    }
}

#[rustfmt::skip]
const CHINESE: [(&str, &str); 69] = [
    ("epo", "世界语"), ("eng", "英语"), ("rus", "俄语"), ("spa", "西班牙语"), ("por", "葡萄牙语"), ("ita", "意大利语"),
    ("ben", "孟加拉语"), ("fra", "法语"), ("deu", "德语"), ("ukr", "乌克兰语"), ("kat", "格鲁吉亚语"), ("ara", "阿拉伯语"),
    ("hin", "印地语"), ("jpn", "日语"), ("heb", "希伯来语"), ("yid", "意第绪语"), ("pol", "波兰语"), ("amh", "阿姆哈拉语"),
    ("jav", "爪哇语"), ("kor", "韩语"), ("nob", "挪威语"), ("dan", "丹麦语"), ("swe", "瑞典语"), ("fin", "芬兰语"),
    ("tur", "土耳其语"), ("nld", "荷兰语"), ("hun", "匈牙利语"), ("ces", "捷克语"), ("ell", "希腊语"), ("bul", "保加利亚语"),
    ("bel", "白俄罗斯语"), ("mar", "马拉地语"), ("kan", "卡纳达语"), ("ron", "罗马尼亚语"), ("slv", "斯洛文尼亚语"), ("hrv", "克罗地亚语"),
    ("srp", "塞尔维亚语"), ("mkd", "马其顿语"), ("lit", "立陶宛语"), ("lav", "拉脱维亚语"), ("est", "爱沙尼亚语"), ("tam", "泰米尔语"),
    ("vie", "越南语"), ("urd", "乌尔都语"), ("tha", "泰语"), ("guj", "古吉拉特语"), ("uzb", "乌兹别克语"), ("pan", "旁遮普语"),
    ("aze", "阿塞拜疆语"), ("ind", "印度尼西亚语"), ("tel", "泰卢固语"), ("pes", "波斯语"), ("mal", "马拉雅拉姆语"), ("ori", "奥里亚语"),
    ("mya", "缅甸语"), ("nep", "尼泊尔语"), ("sin", "僧伽罗语"), ("khm", "高棉语"), ("tuk", "土库曼语"), ("aka", "阿肯语"),
    ("zul", "祖鲁语"), ("sna", "修纳语"), ("afr", "南非荷兰语"), ("lat", "拉丁语"), ("slk", "斯洛伐克语"), ("cat", "加泰罗尼亚语"),
    ("tgl", "他加禄语"), ("hye", "亚美尼亚语"), ("cym", "威尔士语"),
];

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::super::said::Who;
    use super::*;

    fn told(text: &str) -> Code {
        of(&[Said { who: Who::Nobody, text: Cow::Borrowed(text) }])
    }

    #[test]
    fn languages_are_told_and_what_cannot_be_is_not_guessed() {
        assert_eq!(told("请把下面这段话翻译成英文，并说明理由。"), "cmn-Hans");
        assert_eq!(told("請把下面這段話翻譯成英文，並說明理由。"), "cmn-Hant");
        assert_eq!(told("大家好吃"), "cmn");
        assert_eq!(told("今日はとても良い天気ですから、公園に行きましょう。"), "jpn");
        assert_eq!(
            told(
                "Please write a letter to the people who live next door, and tell them what has happened to \
                 their garden while they were away for the summer with their children."
            ),
            "eng"
        );
        assert_eq!(
            told("Der schnelle braune Fuchs springt über den faulen Hund und schläft dann bis zum Morgen."),
            "deu"
        );
        for nothing in ["", "ok", "你好", "12345 67890 + 33 = ? 1234 5678 9012", "…!?"] {
            assert_eq!(told(nothing), "", "{nothing}");
        }
        assert_eq!(told("fn main() { let x = vec![1, 2]; for i in x { println!(\"{}\", i); } }"), "");
        assert_eq!(told("```python\nprint('this is a long line of code in a block')\n```"), "");
    }

    #[test]
    fn no_character_is_on_both_sides() {
        assert!(
            SIMPLIFIED.is_disjoint(&TRADITIONAL),
            "{:?}",
            SIMPLIFIED.intersection(&TRADITIONAL).collect::<Vec<_>>()
        );
        assert!(SIMPLIFIED.len() > 300);
    }

    #[test]
    fn every_language_has_its_names() {
        for lang in Lang::all() {
            let name = name(lang.code());
            assert!(
                lang.code() == "cmn" || CHINESE.iter().any(|(code, _)| *code == lang.code()),
                "{}",
                lang.code()
            );
            assert!(!name.en.is_empty() && !name.zh.is_empty());
        }
    }

    #[test]
    fn chinese_is_wanted_in_either_script() {
        let wanted = |wanted: &str| is_among("cmn-Hant", &[wanted.to_owned()]);
        assert!(wanted("cmn") && wanted("cmn-Hant") && !wanted("cmn-Hans") && !wanted("eng") && !wanted(""));
        assert!(is_among("", &[String::new()]));
    }
}

//! Where the chips of a row lie: laid out once, then only looked up.

use std::ops::Range;

use egui::Vec2;

pub const CHIP_HEIGHT: f32 = 20.0;
/// From line to line.
pub const PITCH: f32 = 24.0;
pub const GAP: f32 = 2.0;
/// At both sides of a chip's text.
pub const PADDING: f32 = 4.0;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chip {
    pub left: f32,
    pub right: f32,
    pub line: usize,
}

/// Chips in reading order, in points from the top left.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    pub chips: Vec<Chip>,
    /// Index of each line's first chip.
    lines: Vec<usize>,
}

impl Layout {
    /// Fills lines of `width` with chips, each given by the width of its text and whether the line ends after it.
    pub fn new(texts: impl IntoIterator<Item = (f32, bool)>, width: f32) -> Self {
        let mut layout = Self::default();
        let mut x = 0.0_f32;
        let mut broken = true;
        for (text, breaks) in texts {
            let chip = (text + 2.0 * PADDING).min(width.max(2.0 * PADDING));
            if broken || x + chip > width {
                layout.lines.push(layout.chips.len());
                x = 0.0;
            }
            layout.chips.push(Chip { left: x, right: x + chip, line: layout.lines.len() - 1 });
            x += chip + GAP;
            broken = breaks;
        }
        layout
    }

    pub fn height(&self) -> f32 {
        self.lines.len() as f32 * PITCH
    }

    /// The chips of a line.
    fn line(&self, line: usize) -> Range<usize> {
        let start = self.lines.get(line).copied().unwrap_or(self.chips.len());
        let end = self.lines.get(line + 1).copied().unwrap_or(self.chips.len());
        start..end
    }

    /// The chips of the lines between two heights.
    pub fn between(&self, top: f32, bottom: f32) -> Range<usize> {
        let last = self.lines.len().saturating_sub(1);
        let line = |y: f32| ((y / PITCH).max(0.0) as usize).min(last);
        self.line(line(top)).start..self.line(line(bottom)).end
    }

    /// The chip at a place; None between chips.
    pub fn hit(&self, at: Vec2) -> Option<usize> {
        if at.x < 0.0 || at.y < 0.0 || at.y % PITCH > CHIP_HEIGHT {
            return None;
        }
        let line = self.line((at.y / PITCH) as usize);
        let within = self.chips[line.clone()].partition_point(|chip| chip.right < at.x);
        let index = line.start + within;
        (index < line.end && self.chips[index].left <= at.x).then_some(index)
    }

    /// Top of a chip.
    pub fn top(&self, index: usize) -> Option<f32> {
        self.chips.get(index).map(|chip| chip.line as f32 * PITCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_where_they_are_full_and_after_new_lines() {
        let texts = [(20.0, false), (20.0, false), (20.0, false), (4.0, true), (4.0, false)];
        let layout = Layout::new(texts, 60.0);
        let lines: Vec<_> = layout.chips.iter().map(|chip| chip.line).collect();
        assert_eq!(lines, [0, 0, 1, 1, 2]);
        assert_eq!(layout.height(), 3.0 * PITCH);
        assert_eq!(layout.chips[1].left, 28.0 + GAP);
    }

    #[test]
    fn every_chip_is_hit_in_its_middle_and_none_beside_it() {
        let texts = (0..500).map(|index| ((index % 7 * 9) as f32, index % 23 == 0));
        let layout = Layout::new(texts, 300.0);
        for (index, chip) in layout.chips.iter().enumerate() {
            let y = layout.top(index).unwrap() + CHIP_HEIGHT / 2.0;
            assert_eq!(layout.hit(Vec2::new((chip.left + chip.right) / 2.0, y)), Some(index));
            assert_eq!(layout.hit(Vec2::new(chip.right + GAP / 2.0, y)), None);
            assert_eq!(layout.hit(Vec2::new(chip.left, y + 12.0)), None);
        }
        assert_eq!(layout.hit(Vec2::new(10.0, layout.height() + 5.0)), None);
        assert_eq!(layout.hit(Vec2::new(-1.0, 5.0)), None);
    }

    #[test]
    fn what_is_visible_covers_the_view_and_little_more() {
        let layout = Layout::new((0..32_000).map(|_| (30.0, false)), 600.0);
        let seen = layout.between(1000.0, 1300.0);
        assert!(layout.top(seen.start).unwrap() <= 1000.0);
        assert!(layout.top(seen.end).unwrap() > 1300.0);
        assert!(seen.len() < 15 * 16);
        assert_eq!(Layout::default().between(0.0, 100.0), 0..0);
    }

    #[test]
    fn a_chip_wider_than_the_line_is_cut() {
        let layout = Layout::new([(900.0, false), (10.0, false)], 100.0);
        assert_eq!(layout.chips[0].right, 100.0);
        assert_eq!(layout.chips[1].line, 1);
    }
}

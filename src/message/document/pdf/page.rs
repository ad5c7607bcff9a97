//! A page's content, operator by operator (ISO 32000-2 §8, §9). Letters come in any order of drawing: where the pen jumps tells
//! blanks, cells and lines apart.

use std::collections::HashMap;
use std::rc::Rc;

use super::font::Font;
use super::object::{Dictionary, Lexer, Object};
use super::store::Store;
use crate::message::document::budget::Budget;

/// Fonts of one document; a page that uses more than are kept loads them again.
const MAX_FONTS: usize = 512;
const MAX_FORMS: usize = 12;
const MAX_STATES: usize = 128;

/// The text of a document's pages.
#[derive(Default)]
pub struct Painter {
    pub text: String,
    /// What a program is told to read aloud or copy instead of what is drawn.
    pub instead: String,
    /// Codes whose letters cannot be told, and those whose can.
    pub unknown: usize,
    pub known: usize,
    fonts: HashMap<u32, Rc<Font>>,
    pen: Option<Pen>,
}

/// Where the last letter ended, and how large it was.
#[derive(Clone, Copy)]
struct Pen {
    x: f64,
    y: f64,
    size: f64,
}

/// What is in force while text is shown.
#[derive(Clone)]
struct State {
    matrix: Matrix,
    font: Option<Rc<Font>>,
    size: f64,
    char_space: f64,
    word_space: f64,
    stretch: f64,
    leading: f64,
    rise: f64,
}

#[derive(Clone, Copy, Debug)]
struct Matrix([f64; 6]);

impl Matrix {
    const UNIT: Matrix = Matrix([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);

    /// `self` applied first, then `outer`.
    fn then(self, outer: Matrix) -> Matrix {
        let ([a, b, c, d, e, f], o) = (self.0, outer.0);
        Matrix([
            a * o[0] + b * o[2],
            a * o[1] + b * o[3],
            c * o[0] + d * o[2],
            c * o[1] + d * o[3],
            e * o[0] + f * o[2] + o[4],
            e * o[1] + f * o[3] + o[5],
        ])
    }

    fn moved(x: f64, y: f64) -> Matrix {
        Matrix([1.0, 0.0, 0.0, 1.0, x, y])
    }
}

impl Painter {
    /// One page, or one form that is drawn on its own.
    pub fn paint(&mut self, content: &[u8], resources: &Dictionary, store: &mut Store<'_>, budget: &mut Budget) {
        self.pen = None;
        self.run(content, resources, Matrix::UNIT, 0, store, budget);
        self.line();
    }

    fn line(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    fn run(&mut self, content: &[u8], resources: &Dictionary, matrix: Matrix, depth: usize, store: &mut Store<'_>, budget: &mut Budget) {
        let mut state = State { matrix, font: None, size: 1.0, char_space: 0.0, word_space: 0.0, stretch: 1.0, leading: 0.0, rise: 0.0 };
        let mut saved: Vec<State> = Vec::new();
        let (mut line, mut text) = (Matrix::UNIT, Matrix::UNIT);
        let mut operands: Vec<Object> = Vec::new();
        // A name means one font throughout; to look it up at every change would cost what a hostile page makes of it.
        let mut named: HashMap<Vec<u8>, Option<Rc<Font>>> = HashMap::new();
        let mut lexer = Lexer::new(content, 0);
        while let Some(token) = lexer.token() {
            let operator = match token {
                Object::Word(word) => word,
                operand => {
                    // Operators have few operands; what is before them is a mistake.
                    if operands.len() >= 64 {
                        operands.remove(0);
                    }
                    operands.push(operand);
                    continue;
                }
            };
            let number = |back: usize| operands.len().checked_sub(back + 1).and_then(|i| operands[i].number()).unwrap_or(0.0);
            match operator.as_slice() {
                b"q" if saved.len() < MAX_STATES => saved.push(state.clone()),
                b"Q" => state = saved.pop().unwrap_or(state),
                b"cm" => state.matrix = matrix_of(&operands).then(state.matrix),
                b"BT" => (line, text) = (Matrix::UNIT, Matrix::UNIT),
                b"Tf" => {
                    state.size = number(0);
                    if let Some(Object::Name(name)) = operands.len().checked_sub(2).map(|i| &operands[i]) {
                        state.font = match named.get(name) {
                            Some(font) => font.clone(),
                            None => {
                                let font = self.font(name, resources, store, budget);
                                if named.len() < MAX_FONTS {
                                    named.insert(name.clone(), font.clone());
                                }
                                font
                            }
                        };
                    }
                }
                b"Tc" => state.char_space = number(0),
                b"Tw" => state.word_space = number(0),
                b"Tz" => state.stretch = number(0) / 100.0,
                b"TL" => state.leading = number(0),
                b"Ts" => state.rise = number(0),
                b"Td" | b"TD" => {
                    if operator == b"TD" {
                        state.leading = -number(0);
                    }
                    line = Matrix::moved(number(1), number(0)).then(line);
                    text = line;
                }
                b"Tm" => (line, text) = (matrix_of(&operands), matrix_of(&operands)),
                b"T*" => {
                    line = Matrix::moved(0.0, -state.leading).then(line);
                    text = line;
                }
                b"Tj" | b"TJ" | b"'" | b"\"" => {
                    if operator != b"Tj" && operator != b"TJ" {
                        if operator == b"\"" {
                            (state.word_space, state.char_space) = (number(2), number(1));
                        }
                        line = Matrix::moved(0.0, -state.leading).then(line);
                        text = line;
                    }
                    match operands.last() {
                        Some(Object::Text(string)) => self.show(string, &state, &mut text),
                        Some(Object::Array(items)) => {
                            for item in items {
                                match item {
                                    Object::Text(string) => self.show(string, &state, &mut text),
                                    Object::Number(back) => {
                                        text = Matrix::moved(-back / 1000.0 * state.size * state.stretch, 0.0).then(text);
                                    }
                                    _ => {}
                                }
                            }
                        }
                        _ => {}
                    }
                }
                b"Do" if depth < MAX_FORMS => {
                    if let Some(Object::Name(name)) = operands.last() {
                        self.form(name, resources, state.matrix, depth, store, budget);
                    }
                }
                b"BDC" => {
                    if let Some(Object::Dictionary(properties)) = operands.last()
                        && let Some(Object::Text(instead)) = properties.find("ActualText")
                        && self.instead.len() < 1 << 20
                    {
                        self.instead.push_str(&super::text_string(instead));
                        self.instead.push('\n');
                    }
                }
                b"ID" => lexer.at = end_of_image(content, lexer.at),
                _ => {}
            }
            operands.clear();
            if budget.unpacked_left() == 0 || self.text.len() > crate::message::document::budget::MAX_TEXT {
                return;
            }
        }
    }

    fn form(&mut self, name: &[u8], resources: &Dictionary, matrix: Matrix, depth: usize, store: &mut Store<'_>, budget: &mut Budget) {
        let Object::Dictionary(objects) = store.value(resources, "XObject", budget) else { return };
        let Some(loaded) = objects.find(&String::from_utf8_lossy(name)).cloned().and_then(|o| store.loaded(&o, budget)) else { return };
        let Some(dictionary) = loaded.dictionary().filter(|d| d.says("Subtype", "Form")).cloned() else { return };
        let Some(content) = store.content(&loaded, budget) else { return };
        let own = store.value(&dictionary, "Resources", budget);
        let own = match &own {
            Object::Dictionary(own) => own,
            _ => resources,
        };
        let inner = match store.value(&dictionary, "Matrix", budget) {
            Object::Array(items) => matrix_of(&items).then(matrix),
            _ => matrix,
        };
        self.run(&content, own, inner, depth + 1, store, budget);
    }

    fn font(&mut self, name: &[u8], resources: &Dictionary, store: &mut Store<'_>, budget: &mut Budget) -> Option<Rc<Font>> {
        let Object::Dictionary(fonts) = store.value(resources, "Font", budget) else { return None };
        let reference = fonts.find(&String::from_utf8_lossy(name))?.clone();
        let number = match &reference {
            Object::Reference(number) => *number,
            _ => 0,
        };
        if let Some(font) = self.fonts.get(&number).filter(|_| number != 0) {
            return Some(font.clone());
        }
        let Object::Dictionary(dictionary) = store.resolve(&reference, budget) else { return None };
        let font = Rc::new(Font::load(&dictionary, store, budget));
        if number != 0 && self.fonts.len() < MAX_FONTS {
            self.fonts.insert(number, font.clone());
        }
        Some(font)
    }

    fn show(&mut self, string: &[u8], state: &State, text: &mut Matrix) {
        let Some(font) = state.font.clone() else { return };
        let start = Matrix::moved(0.0, state.rise).then(*text).then(state.matrix).0;
        // A letter's height and the direction of the line, on the page.
        let scale = (start[0].hypot(start[1])).max(1e-9);
        let size = (state.size.abs() * start[2].hypot(start[3])).max(1e-6);
        let direction = (start[0] / scale * state.size.signum(), start[1] / scale * state.size.signum());
        self.jump(start[4], start[5], size, direction);
        let mut advance = 0.0;
        font.show(string, |letters, shown| {
            match letters {
                Some(letters) => {
                    self.known += 1;
                    // One code may stand for many letters, and one operator shows many codes.
                    if self.text.len() <= crate::message::document::budget::MAX_TEXT {
                        self.text.extend(letters.chars().filter(|c| !c.is_control()));
                    }
                }
                None => self.unknown += 1,
            }
            let space = if shown.is_space { state.word_space } else { 0.0 };
            advance += (shown.width * state.size + state.char_space + space) * state.stretch;
        });
        *text = Matrix::moved(advance, 0.0).then(*text);
        let end = Matrix::moved(0.0, state.rise).then(*text).then(state.matrix).0;
        self.pen = Some(Pen { x: end[4], y: end[5], size });
    }

    /// What stands between the last letter and the next one, which begins at `x`, `y`.
    fn jump(&mut self, x: f64, y: f64, size: f64, direction: (f64, f64)) {
        let Some(pen) = self.pen else { return };
        let (dx, dy) = (x - pen.x, y - pen.y);
        let along = dx * direction.0 + dy * direction.1;
        let across = (dx * direction.1 - dy * direction.0).abs();
        let size = size.max(pen.size);
        if !(along.is_finite() && across.is_finite()) || across > size * 0.6 || along < -size {
            self.line();
        } else if self.text.ends_with(['\n', ' ', '\t']) || self.text.is_empty() {
        } else if along > size * 2.0 {
            self.text.push('\t');
        } else if along > size * 0.17 {
            self.text.push(' ');
        }
    }
}

fn matrix_of(operands: &[Object]) -> Matrix {
    let numbers: Vec<f64> = operands.iter().rev().take(6).rev().filter_map(Object::number).collect();
    numbers.try_into().map_or(Matrix::UNIT, Matrix)
}

/// Behind the `EI` of an inline image whose data starts at `from` (§8.9.7).
fn end_of_image(content: &[u8], from: usize) -> usize {
    let blank = |at: usize| content.get(at).is_none_or(|b| super::object::is_blank(*b));
    memchr::memmem::find_iter(&content[from.min(content.len())..], b"EI")
        .map(|i| from + i)
        .find(|&at| at > from && blank(at - 1) && blank(at + 2))
        .map_or(content.len(), |at| at + 2)
}

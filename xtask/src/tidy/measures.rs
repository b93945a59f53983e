//! The measures of a folder, each with its goal.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::{
    errors::flattened_errors,
    examples::libraries_without_example,
    items::{FileItems, NamedItem},
    packing::packed_statements,
    prose::{PERSONS, SPEECH, begins_like_a_question, item_docs, words},
    source::SourceFile,
};

/// Function words and the like that name no thing.
const NO_NOUNS: &[&str] = &[
    "About", "Ask", "At", "Bad", "Begun", "Broken", "By", "Came", "Count", "Draw", "Found",
    "Given", "Gone", "Hear", "Hears", "Held", "How", "Kept", "Known", "Late", "Lies", "Lost",
    "Made", "Other", "Own", "Ran", "Read", "Seen", "Sent", "Serve", "Share", "Shown", "Stop",
    "Stored", "To", "Told", "Under", "Via", "When", "Which", "Who", "Would", "Write", "Written",
    "Wrong", "Wrote",
];

/// Verbs' forms that the field uses as nouns.
const NOUNS_IN_ING: &[&str] = &[
    "String", "Setting", "Mapping", "Binding", "Encoding", "Finding",
];

/// A folder of fewer names than this has too few to count in percent.
const NAMES_MIN: usize = 20;

/// The longest function, in lines.
const FUNCTION_LINES_MAX: usize = 70;

/// The longest file, in lines of code.
const FILE_LINES_MAX: usize = 600;

/// A place that counts against a goal.
#[derive(Debug)]
pub(crate) struct Offence {
    pub(crate) measure: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) line: usize,
    pub(crate) what: String,
}

/// A measure: so many of so many, and at most so many for each `per` of them.
#[derive(Debug)]
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    count: usize,
    total: usize,
    per: usize,
    /// None where the number is printed and not enforced.
    goal: Option<f64>,
}

impl Measure {
    /// Returns true if the goal is missed.
    pub(crate) fn is_missed(&self) -> bool {
        self.goal.is_some_and(|goal| self.share() > goal)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a share to print and to compare"
    )]
    fn share(&self) -> f64 {
        if self.per == 0 {
            return self.count as f64;
        }
        self.count as f64 * self.per as f64 / self.total.max(1) as f64
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.per {
            0 => "",
            100 => " %",
            _ => " per 1,000",
        };
        write!(f, "{:<48} {:>7.1}{unit}", self.name, self.share())?;
        match self.goal {
            Some(goal) if self.is_missed() => write!(f, "  MISSED: at most {goal}{unit}"),
            Some(goal) => write!(f, "  (at most {goal}{unit})"),
            None => Ok(()),
        }
    }
}

const ONE_WORD_TYPES: &str = "types named by one word";
const NO_NOUN_TYPES: &str = "types named by a participle or function word";
const REPEATED_TYPES: &str = "type names with several meanings in a package";
const ONE_WORD_FUNCTIONS: &str = "functions named by one word";
const SHORT_FUNCTIONS: &str = "functions named by four letters or fewer";
const QUESTIONS: &str = "item docs that begin like a question";
const PERSONS_IN_COMMENTS: &str = "who, nobody and kin, of comment words";
const SPEECH_IN_COMMENTS: &str = "told, tells, of comment words";
const PACKED: &str = "packed statements";
const FLATTENED_ERRORS: &str = "errors flattened into text";
const NO_EXAMPLE: &str = "libraries without an example that compiles";
const UNREACHED: &str = "pub items that only their package names";
const LONG_FUNCTIONS: &str = "functions over 70 lines";
const LONG_FILES: &str = "files over 600 lines of code";

/// The counts of a folder.
#[derive(Debug, Default)]
pub(crate) struct FolderMeasures {
    pub(crate) offences: Vec<Offence>,
    types: usize,
    functions: usize,
    item_docs: usize,
    comment_words: usize,
    public: usize,
    body_lines: usize,
    body_comments: usize,
    widths: Vec<usize>,
}

impl FolderMeasures {
    /// Counts all but what needs a look at other folders.
    pub(crate) fn new(files: &[SourceFile<'_>]) -> Self {
        let mut measured = Self::default();
        let mut types: BTreeMap<(PathBuf, String), Vec<Offence>> = BTreeMap::new();
        for file in files {
            let items = FileItems::collect(file);
            measured.count_names(file, &items);
            measured.count_prose(file);
            measured.count_form(file, &items);
            for item in &items.types {
                let place = types
                    .entry((package_of(&file.path), item.name.clone()))
                    .or_default();
                place.push(offence(REPEATED_TYPES, file, item.line, &item.name));
            }
        }
        let repeated = types.into_values().filter(|places| places.len() > 1);
        for library in libraries_without_example(files) {
            measured.offences.push(Offence {
                measure: NO_EXAMPLE,
                path: library,
                line: 1,
                what: String::new(),
            });
        }
        // The first place keeps its name.
        measured
            .offences
            .extend(repeated.flat_map(|places| places.into_iter().skip(1)));
        measured.widths.sort_unstable();
        measured
    }

    /// Adds the public items that nothing outside their package names.
    pub(crate) fn add_unreached(&mut self, unreached: Vec<(PathBuf, NamedItem)>) {
        self.offences
            .extend(unreached.into_iter().map(|(path, item)| Offence {
                measure: UNREACHED,
                path,
                line: item.line,
                what: item.name,
            }));
    }

    /// The measures, in the order in which they are printed.
    pub(crate) fn measures(&self) -> Vec<Measure> {
        let names = |total: usize, goal: f64| (total >= NAMES_MIN).then_some(goal);
        vec![
            self.share(ONE_WORD_TYPES, self.types, 100, names(self.types, 40.0)),
            self.share(NO_NOUN_TYPES, self.types, 100, names(self.types, 3.0)),
            self.share(REPEATED_TYPES, 0, 0, Some(0.0)),
            self.share(
                ONE_WORD_FUNCTIONS,
                self.functions,
                100,
                names(self.functions, 45.0),
            ),
            self.share(
                SHORT_FUNCTIONS,
                self.functions,
                100,
                names(self.functions, 20.0),
            ),
            self.share(QUESTIONS, self.item_docs, 100, Some(5.0)),
            self.share(PERSONS_IN_COMMENTS, self.comment_words, 1000, Some(1.0)),
            self.share(SPEECH_IN_COMMENTS, self.comment_words, 1000, Some(0.3)),
            self.share(PACKED, 0, 0, Some(0.0)),
            self.share(FLATTENED_ERRORS, 0, 0, Some(0.0)),
            self.share(NO_EXAMPLE, 0, 0, Some(0.0)),
            self.share(UNREACHED, 0, 0, Some(0.0)),
            self.share(LONG_FUNCTIONS, 0, 0, Some(0.0)),
            self.share(LONG_FILES, 0, 0, Some(0.0)),
            // A comment gives a reason where there is one: a number of them is no goal.
            Measure {
                name: "comments in bodies, of their lines",
                count: self.body_comments,
                total: self.body_lines,
                per: 100,
                goal: None,
            },
            Measure {
                name: "ninth decile of the widths of code lines",
                count: self
                    .widths
                    .get(self.widths.len() * 9 / 10)
                    .copied()
                    .unwrap_or(0),
                total: 0,
                per: 0,
                goal: Some(72.0),
            },
        ]
    }

    fn share(&self, name: &'static str, total: usize, per: usize, goal: Option<f64>) -> Measure {
        let count = self
            .offences
            .iter()
            .filter(|offence| offence.measure == name)
            .count();
        Measure {
            name,
            count,
            total,
            per,
            goal,
        }
    }

    fn count_names(&mut self, file: &SourceFile<'_>, items: &FileItems) {
        self.types += items.types.len();
        self.functions += items.functions.len();
        self.public += items.public.len();
        for item in &items.types {
            if item.name.chars().filter(char::is_ascii_uppercase).count() == 1 {
                self.offences
                    .push(offence(ONE_WORD_TYPES, file, item.line, &item.name));
            }
            if is_no_noun(&item.name) {
                self.offences
                    .push(offence(NO_NOUN_TYPES, file, item.line, &item.name));
            }
        }
        for item in &items.functions {
            if !item.name.contains('_') {
                self.offences
                    .push(offence(ONE_WORD_FUNCTIONS, file, item.line, &item.name));
            }
            if item.name.len() <= 4 {
                self.offences
                    .push(offence(SHORT_FUNCTIONS, file, item.line, &item.name));
            }
        }
    }

    fn count_prose(&mut self, file: &SourceFile<'_>) {
        for comment in &file.comments {
            for word in words(comment.text) {
                self.comment_words += 1;
                if PERSONS.contains(&&*word) {
                    self.offences.push(offence(
                        PERSONS_IN_COMMENTS,
                        file,
                        comment.line,
                        comment.text,
                    ));
                }
                if SPEECH.contains(&&*word) {
                    self.offences.push(offence(
                        SPEECH_IN_COMMENTS,
                        file,
                        comment.line,
                        comment.text,
                    ));
                }
            }
        }
        for doc in item_docs(file) {
            self.item_docs += 1;
            if begins_like_a_question(doc) {
                self.offences
                    .push(offence(QUESTIONS, file, doc.line, doc.text));
            }
        }
    }

    fn count_form(&mut self, file: &SourceFile<'_>, items: &FileItems) {
        for (kind, line) in packed_statements(file) {
            self.offences.push(offence(PACKED, file, line, kind));
        }
        for line in flattened_errors(file) {
            self.offences
                .push(offence(FLATTENED_ERRORS, file, line, "map_err"));
        }
        if file.code_widths.len() > FILE_LINES_MAX {
            self.offences.push(offence(LONG_FILES, file, 1, ""));
        }
        for body in &items.bodies {
            let lines = body.last.saturating_sub(body.first) + 1;
            if lines > FUNCTION_LINES_MAX {
                self.offences.push(offence(
                    LONG_FUNCTIONS,
                    file,
                    body.first,
                    &lines.to_string(),
                ));
            }
        }
        self.count_bodies(file, items);
        self.widths
            .extend(file.code_widths.iter().map(|(_, width)| width));
    }

    /// Counts the lines of bodies, and those of them that hold a comment and no code.
    fn count_bodies(&mut self, file: &SourceFile<'_>, items: &FileItems) {
        let in_body = |line: usize| {
            items
                .bodies
                .iter()
                .any(|body| (body.first + 1..body.last).contains(&line))
        };
        let has_code = |line: usize| {
            file.code_widths
                .binary_search_by_key(&line, |(line, _)| *line)
                .is_ok()
        };
        let code = file
            .code_widths
            .iter()
            .filter(|(line, _)| in_body(*line))
            .count();
        let comments = file.comments.iter().filter(|comment| {
            !comment.is_item_doc && in_body(comment.line) && !has_code(comment.line)
        });
        let comments = comments.count();
        self.body_lines += code + comments;
        self.body_comments += comments;
    }
}

fn offence(measure: &'static str, file: &SourceFile<'_>, line: usize, what: &str) -> Offence {
    Offence {
        measure,
        path: file.path.clone(),
        line,
        what: what.to_owned(),
    }
}

/// Returns true if a type's name is a participle or a function word.
fn is_no_noun(name: &str) -> bool {
    let is_one_word = name.chars().filter(char::is_ascii_uppercase).count() == 1;
    let is_participle = name.ends_with("ed") || name.ends_with("ing");
    is_one_word && !NOUNS_IN_ING.contains(&name) && (is_participle || NO_NOUNS.contains(&name))
}

/// The folder of the package that a source belongs to.
pub(crate) fn package_of(source: &Path) -> PathBuf {
    let mut folder = PathBuf::new();
    for part in source.parent().unwrap_or(source) {
        if part == "src" {
            break;
        }
        folder.push(part);
    }
    folder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_several_meanings_counts_once_for_each_further_meaning() {
        let texts = ["struct Place;", "enum Place {}", "struct Place;"];
        let paths = ["a/src/one.rs", "a/src/two.rs", "b/src/three.rs"];
        let files: Vec<_> = (paths.into_iter().zip(texts))
            .map(|(path, text)| SourceFile::parse(path.into(), text))
            .collect();
        let measured = FolderMeasures::new(&files);
        let repeated = measured
            .offences
            .iter()
            .filter(|offence| offence.measure == REPEATED_TYPES);
        assert_eq!(repeated.count(), 1);
    }

    #[test]
    fn comments_in_bodies_are_counted_by_lines() {
        let text = "fn f() {\n    // Because.\n    g();\n}\n/// Not in a body.\nfn g() {}\n";
        let measured = FolderMeasures::new(&[SourceFile::parse("a/src/lib.rs".into(), text)]);
        assert_eq!((measured.body_lines, measured.body_comments), (2, 1));
    }
}

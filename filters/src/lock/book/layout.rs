//! JSON as people read it, and as `git diff` compares it.

/// The text with a member or an element a line. It is JSON that was written, not read: what stands
/// between its tokens is nothing.
pub(super) fn indented(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0;
    let (mut is_string, mut is_escaped) = (false, false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if is_string {
            out.push(letter);
            is_string = is_escaped || letter != '"';
            is_escaped = letter == '\\' && !is_escaped;
            continue;
        }
        match letter {
            '{' | '[' => {
                out.push(letter);
                // What is empty stays on its line.
                if let Some(close) = letters.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    break_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth -= 1;
                break_line(&mut out, depth);
                out.push(letter);
            }
            ',' => {
                out.push(letter);
                break_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => {
                is_string = letter == '"';
                out.push(letter);
            }
        }
    }
    out.push('\n');
    out
}

fn break_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_stay_as_they_are_and_what_is_empty_stays_on_its_line() {
        let text = r#"{"a":["x\\",{}],"b\",{":[],"c":{"d":1}}"#;
        let expected = "{\n  \"a\": [\n    \"x\\\\\",\n    {}\n  ],\n  \"b\\\",{\": [],\n  \"c\": {\n    \"d\": 1\n  }\n}\n";
        assert_eq!(indented(text), expected);
    }
}

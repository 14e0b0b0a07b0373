use super::*;

fn read(text: &str) -> Result<Node, String> {
    let mut problems = Problems::default();
    let node = parse(text, &mut problems);
    match node {
        Some(node) if !problems.has_errors() => Ok(node),
        Some(_) | None => Err(problems.to_string()),
    }
}

fn entry<'a>(node: &'a Node, key: &str) -> &'a Entry {
    let Value::Map(entries) = &node.value else {
        panic!("a mapping")
    };
    entries.iter().find(|entry| entry.key == key).unwrap()
}

#[test]
fn every_key_and_value_knows_its_place() {
    let root = read("a: 1\nb:\n  c: [x, y]\n").unwrap();
    let c = entry(&entry(&root, "b").node, "c");
    assert_eq!(c.key_place, Place::Text { line: 3, column: 3 });
    let Value::List(items) = &c.node.value else {
        panic!("a list")
    };
    assert_eq!(
        items[1].place,
        Place::Text {
            line: 3,
            column: 10
        }
    );
}

#[test]
fn a_key_written_twice_names_both_places() {
    let text = read("a: 1\nb: 2\na: 3\n").unwrap_err();
    assert_eq!(
        text,
        "a: the key is written twice, first at line 1, column 1 (line 3, column 1)\n"
    );
}

#[test]
fn an_alias_is_expanded_and_a_bomb_of_aliases_is_refused() {
    let root = read("a: &x {k: v}\nb: *x\n").unwrap();
    assert_eq!(entry(&root, "a").node.value, entry(&root, "b").node.value);
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let inner = format!("*a{}, ", level - 1).repeat(10);
        bomb += &format!("a{level}: &a{level} [{inner}]\n");
    }
    assert!(
        read(&bomb)
            .unwrap_err()
            .contains("holds more than 200000 values")
    );
}

#[test]
fn an_alias_to_its_own_container_is_refused() {
    assert!(
        read("a: &x [*x]\n")
            .unwrap_err()
            .contains("refers to the value that contains it")
    );
}

#[test]
fn depth_is_bounded() {
    let deep = |levels: usize| format!("a: {}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(read(&deep(DEPTH_MAX - 1)).is_ok());
    assert!(
        read(&deep(DEPTH_MAX + 1))
            .unwrap_err()
            .contains("nested deeper than 64 levels")
    );
    assert!(read(&deep(100_000)).is_err());
}

#[test]
fn size_is_bounded() {
    let text = "#".repeat(TEXT_BYTES_MAX + 1);
    assert_eq!(
        read(&text).unwrap_err(),
        "the file is larger than 4194304 bytes\n"
    );
}

#[test]
fn the_length_of_a_key_is_bounded() {
    let with_key = |length: usize| read(&format!("? {}\n: 1\n", "k".repeat(length)));
    assert!(with_key(KEY_BYTES_MAX).is_ok());
    assert!(
        with_key(KEY_BYTES_MAX + 1)
            .unwrap_err()
            .contains("longer than 512 bytes")
    );
}

#[test]
fn yaml_1_1_booleans_are_texts_and_prototype_keys_are_dropped() {
    let root = read("a: yes\n__proto__: {admin: true}\nb: {constructor: 1}\n").unwrap();
    let yes = Value::Scalar {
        text: "yes".to_owned(),
        plain: true,
    };
    assert_eq!(entry(&root, "a").node.value, yes);
    assert_eq!(entry(&root, "b").node.value, Value::Map(Vec::new()));
}

#[test]
fn a_second_document_a_foreign_tag_and_broken_text_are_refused() {
    assert!(
        read("a: 1\n---\nb: 2\n")
            .unwrap_err()
            .contains("more than one YAML document")
    );
    assert!(
        read("a: !js/function x\n")
            .unwrap_err()
            .contains("tag !js/function")
    );
    assert!(
        read("a: [1\nb: 2\n")
            .unwrap_err()
            .starts_with("not valid YAML: ")
    );
}

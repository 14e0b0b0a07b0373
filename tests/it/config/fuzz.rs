//! No text makes a load panic or take long.

use conduit::config::load;
use conduit::config::source::Source;
use proptest::prelude::*;

use super::source;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_is_loaded_or_refused(text in "\\PC*") {
        let _outcome = load(&Source::from_text(&text));
    }

    #[test]
    fn any_yaml_like_text_is_loaded_or_refused(
        text in "([a-z_]{1,8}|gateway|servers|id|[-:?&*!|>%@{}\\[\\],#\n \t'\"~$]|0x|1e9|\\$\\{A\\}){0,60}"
    ) {
        let _outcome = load(&Source::from_text(&text));
    }

    #[test]
    fn any_value_in_any_field_is_loaded_or_refused_and_named(
        section in 0..17_usize,
        field in 0..40_usize,
        value in prop_oneof!["\\PC{0,12}", "-?[0-9]{1,20}", "(true|null|~|\\[\\]|\\{\\}|\\[1\\])"],
    ) {
        let schema = conduit::config::schema::schema();
        let sections: Vec<_> = schema["properties"].as_object().unwrap().iter().collect();
        let (name, schema) = sections[section % sections.len()];
        let text = match schema["properties"].as_object() {
            Some(fields) => {
                let names: Vec<_> = fields.keys().collect();
                format!("{name}:\n  {}: {value}\n", names[field % names.len()])
            }
            None => format!("{name}: [{value}]\n"),
        };
        if let Err(problems) = load(&Source::from_text(&text)) {
            prop_assert!(problems.iter().all(|problem| !problem.message.is_empty()));
            prop_assert!(!problems.to_string().contains("does not fit its own schema"), "{problems}");
        }
    }

    #[test]
    fn any_variable_is_loaded_or_refused(name in "CONDUIT_(PORT|HOST|ADMIN_KEY|REDIS_URL|TLS_CERT)", value in "\\PC*") {
        let _outcome = load(&source("gateway: {port: '${A:-1}'}", &[(&name, &value)]));
    }
}

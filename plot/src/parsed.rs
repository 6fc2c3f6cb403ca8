//! Charts as a browser reads them, for tests.

use roxmltree::{Document, Node};

/// The values of an attribute of all elements with a class, in order.
pub(crate) fn attributes(svg: &str, class: &str, attribute: &str) -> Vec<String> {
    let document = Document::parse(svg).unwrap();
    let has_class = |node: &Node| {
        let classes = node.attribute("class").unwrap_or_default();
        classes.split(' ').any(|of| of == class)
    };
    let found = document.descendants().filter(has_class);
    found
        .filter_map(|node| node.attribute(attribute).map(str::to_owned))
        .collect()
}

/// The texts of all elements with a name, in order.
pub(crate) fn texts(svg: &str, name: &str) -> Vec<String> {
    let document = Document::parse(svg).unwrap();
    let found = document
        .descendants()
        .filter(|node| node.has_tag_name(name));
    found
        .filter_map(|node| node.text().map(str::to_owned))
        .collect()
}

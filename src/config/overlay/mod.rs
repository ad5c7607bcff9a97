//! What was changed at the console: it lies in a folder of its own (`[console] folder`) over the operator's files, which the gateway never
//! writes. It is read here, and written by the office.
//!
//! ```text
//! rules.toml  rules/  versions/          rules: what holds now, texts, every version       rules, office::rules
//! people.toml                            suspended accounts, lent roles, own accounts      people, office::people
//! acknowledgements.toml                  who has read the monitoring notice                office::acknowledgements
//! papers.toml  papers/                   what the council adopted                          office::adopted
//! ```

pub mod people;
pub mod rules;

//! Builds all from `Settings`, runs, drains.

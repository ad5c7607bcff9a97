# demo: a whole council on loopback.  test: everything, with real peers.  See README.md.
.PHONY: demo test lint bench

ARGS ?=
TARGET := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)

demo:
	cargo run -- demo $(ARGS)

# A missing peer is a failure here, not a skip.
test:
	tests/peers/install.sh $(TARGET)/peers
	LYCHGATE_PEERS=required cargo test --features saml

lint:
	cargo fmt --check
	cargo clippy --all-targets --features saml -- -D warnings

bench:
	cargo run --release -- bench $(ARGS)

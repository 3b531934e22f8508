.PHONY: install-netfilter-tools netfilter netfilter-docs

install-netfilter-tools: ## what the netfilter lab needs, from Debian; as root
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends nftables iptables iproute2 systemd systemd-container > /dev/null

netfilter: install ## the metadata guard on real netfilter, in network namespaces; as root
	$(BIN)/python -m pytest tests/netfilter

netfilter-docs: install ## rewrite the measured table of docs/instance-metadata.md
	UPDATE_DOCS=1 $(BIN)/python -m pytest tests/netfilter

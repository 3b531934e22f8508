"""Reports: the same facts as JSON, SARIF, Markdown, Mermaid and a page."""

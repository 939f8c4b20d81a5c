"""The status page for the browser. It is rendered here, with a little JavaScript and no build step."""

"""The status page: what an operator looks at in the browser. Rendered here, with a little JavaScript, no build step."""

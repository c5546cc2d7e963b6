// Node's HTTP for our modules. An `import` of `node:http` looks at each of its exports, and those of WebSockets load a
// whole client: 10 MB and 50 ms in every process. Its types cost nothing, so those are imported as ever.
export const { createServer, maxHeaderSize, request, STATUS_CODES } = process.getBuiltinModule("node:http")

// Runs Tempest against a cloud that is up, and prints the sums by reason after Tempest's own output.
//   node tools/conformance.ts --data DIR [--regex RE | --list FILE] [--concurrency N] [--workspace DIR]
//        [--template FILE | --suite DIR] [--root DIR] [--guests] [--web-images]
// With --guests the tests log into machines, which must be real. A suite's folder has a tempest.conf.template. The root
// is another Debian's that has Tempest (debootstrap). --web-images serves the images that import tests fetch.
import { readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { describeSummary, summarize } from "../acceptance/tempest/outcome.ts"
import { serveWebImages } from "../acceptance/tempest/web-images.ts"
import { ownTemplate, TempestWorkspace } from "../acceptance/tempest/workspace.ts"

const { values } = parseArgs({
  options: {
    data: { type: "string", default: ".kumoi" },
    suite: { type: "string" },
    template: { type: "string", default: ownTemplate },
    root: { type: "string" },
    list: { type: "string" },
    guests: { type: "boolean", default: false },
    "web-images": { type: "boolean", default: false },
    regex: { type: "string", default: "smoke" },
    concurrency: { type: "string", default: "2" },
    workspace: { type: "string", default: "/tmp/kumoi-tempest" },
  },
})

const runMs = 4 * 3_600_000

rmSync(join(values.root ?? "", values.workspace), { recursive: true, force: true })
const workspace = await TempestWorkspace.create({
  dataDir: values.data,
  isWithGuests: values.guests,
  folder: values.workspace,
  template: values.suite === undefined ? values.template : join(values.suite, "tempest.conf.template"),
  ...(values.root === undefined ? {} : { root: values.root }),
})
const selection =
  values.list === undefined ? { regex: values.regex } : { list: readFileSync(values.list, "utf8") }
await using _server = values["web-images"] ? await serveWebImages() : undefined
const listed = await workspace.list(selection)
const limits = { concurrency: Number(values.concurrency), timeoutMs: runMs }
const { outcomes, output, exitCode } = await workspace.run(selection, limits)
const lines = describeSummary(summarize(outcomes, listed), listed.length)
process.stdout.write(`${output}\n${lines.join("\n")}\n`)
process.exitCode = exitCode

// What users may ask of a server beside its sizes, from the declarations: extra specs of flavors, properties of images,
// hints of the scheduler. And which files read each of them.
import { extraSpecs, imageProperties, schedulerHints } from "../server/src/compute/index.ts"
import { readSourceFiles } from "./source-files.ts"

export interface Wish {
  kind: "extra spec" | "image property" | "scheduler hint"
  /** As people write it: `hw:numa_cpus.N`. */
  name: string
  values: string
  unused: string | undefined
  /** Files that read it, or refuse it. */
  readBy: readonly string[]
}

type Form = (typeof extraSpecs)[number]["form"]

const sources = readSourceFiles().filter(
  ({ path }) =>
    path.startsWith("server/src/") &&
    !/\.test\.ts$|\/testing\/|\/(spec-forms|guest-hardware\/image-properties|hints)\.ts$/.test(path) &&
    /^server\/src\/(agent|compute|image|main)/.test(path),
)

export function wishes(): Wish[] {
  const ofFlavors = extraSpecs.map(({ pattern, form }) => ({
    kind: "extra spec" as const,
    name: shownName(pattern),
    ...{ values: valuesOf(form), unused: form.unused },
    readBy: readersOf(stemOf(pattern)),
  }))
  const ofImages = imageProperties.map(({ pattern, form }) => ({
    kind: "image property" as const,
    name: shownName(pattern),
    ...{ values: valuesOf(form), unused: form.unused },
    readBy: [...new Set([...readersOf(stemOf(pattern)), ...readersOfBoth(stemOf(pattern))])].sort(),
  }))
  const hints = Object.entries(schedulerHints).map(([name, { unused }]) => ({
    kind: "scheduler hint" as const,
    ...{ name, values: "", unused },
    readBy: readersOf(name).filter((path) => /\/(schedule|server)\//.test(path)),
  }))
  return [...ofFlavors, ...ofImages, ...hints]
}

/** What a pattern begins with, up to where it is none. */
function stemOf(pattern: string): string {
  return pattern.replace(/(\(|\\|\[|:\.\+).*$/s, "").replace(/:$/, "")
}

function shownName(pattern: string): string {
  return pattern
    .replace(/^(resources|trait)\(.*/s, (_, name) => `${name}[GROUP]:${name === "trait" ? "TRAIT" : "CLASS"}`)
    .replace(/^trait:\[.*/, "trait:TRAIT")
    .replace(/^capabilities:.*/s, "capabilities:FACT")
    .replace(/:\.\+$/, ":KEY")
    .replace(/\\\.\\d\+$/, ".N")
}

function valuesOf(form: Form): string {
  switch (form.kind) {
    case "word":
      return form.words.join(", ")
    case "boolean":
      return "true, false"
    case "integer": {
      const { min, max } = form
      return max === undefined
        ? `a number${min === undefined ? "" : ` from ${min}`}`
        : `${min ?? 0} to ${max}`
    }
    case "pattern":
      return `\`${form.pattern}\``
    case "text":
      return "text"
  }
}

/** In quotes, as the beginning of a template, in a regular expression, or as a member. */
function readersOf(stem: string): string[] {
  const text = stem.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")
  const isStem = /^(resources|trait|capabilities|aggregate_instance_extra_specs)/.test(stem)
  const name = isStem
    ? new RegExp(`["'\`/^]${text}(?:[\\[("':\`]|$)`, "m")
    : new RegExp(
        `["'\`/]${text}["'\`.$]|["'\`]${prefixOf(text)}["'\`]|\\.${text}\\b|[{,]\\s*${text}\\s*[,:}=]`,
      )
  return sources.filter(({ text }) => name.test(text)).map(({ path }) => path.replace("server/src/", ""))
}

/** Where a group of them is read by what they begin with (`quota:vif_inbound_`). */
function prefixOf(text: string): string {
  return /^quota:vif_(in|out)bound_/.test(text) ? text.replace(/_[a-z]+$/, "_") : text
}

/** Those that ask for the flavor's spec of the same name: `both(wishes, "hw:cpu_policy")`. */
function readersOfBoth(property: string): string[] {
  if (!/^hw_/.test(property)) return []
  const spec = property.replace("_", ":")
  const asks = new RegExp(`(?:both|oneOf|model|listOf)\\([^)]*"${spec}"`)
  return sources.filter(({ text }) => asks.test(text)).map(({ path }) => path.replace("server/src/", ""))
}

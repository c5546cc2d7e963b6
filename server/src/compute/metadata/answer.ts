// Path → what a guest reads there. Pure.
import type { MetadataFacts } from "./facts.ts"
import { contentFiles, ec2Tree, ec2Versions, openstackFiles, openstackVersions, readEc2 } from "./files.ts"

export interface MetadataAnswer {
  body: string
  contentType: string
}

const text = (body: string): MetadataAnswer => ({ body, contentType: "text/plain" })
const bytes = (body: string): MetadataAnswer => ({ body, contentType: "application/octet-stream" })

export function answerMetadata(facts: MetadataFacts, path: string): MetadataAnswer | undefined {
  const parts = path.split("/").filter((part) => part !== "")
  const [first, ...rest] = parts
  if (first === undefined) return text(ec2Versions.join("\n"))
  if (first === "openstack") return answerOpenstack(facts, rest)
  if (!(ec2Versions as readonly string[]).includes(first)) return undefined
  const tree = ec2Tree(facts)
  const [branch] = rest
  if (branch === "user-data" && rest.length === 1) {
    const data = tree["user-data"]
    return typeof data === "string" ? bytes(data) : undefined
  }
  const found = readEc2(tree, rest)
  return found === undefined ? undefined : text(found)
}

/** Where a guest reads its password, and leaves it. */
export function isPasswordPath(path: string): boolean {
  const [first, version = "", file, ...more] = path.split("/").filter((part) => part !== "")
  const isKnown = (openstackVersions as readonly string[]).includes(version)
  return (
    first === "openstack" && isKnown && version >= "2013-04-04" && file === "password" && more.length === 0
  )
}

function answerOpenstack(facts: MetadataFacts, parts: readonly string[]): MetadataAnswer | undefined {
  const [version, file, ...more] = parts
  if (version === undefined) return text(openstackVersions.join("\n"))
  if (version === "content") return more.length > 0 ? undefined : answerContent(facts, file ?? "")
  if (!(openstackVersions as readonly string[]).includes(version) || more.length > 0) return undefined
  const files = openstackFiles(facts, version)
  if (file === undefined) return text(Object.keys(files).join("\n"))
  const body = Object.hasOwn(files, file) ? files[file] : undefined
  if (body === undefined) return undefined
  if (file === "user_data") return bytes(body)
  return { body, contentType: file.endsWith(".json") ? "application/json" : "text/plain" }
}

/** Not listed: meta_data.json says what there is. */
function answerContent(facts: MetadataFacts, name: string): MetadataAnswer | undefined {
  const files = contentFiles(facts)
  const body = Object.hasOwn(files, name) ? files[name] : undefined
  return body === undefined ? undefined : bytes(body)
}

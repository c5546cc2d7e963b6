// `/v2.1/PROJECT/servers`: the project in the path, as older endpoints have it. It adds nothing to the token, so it must
// say the same.
import type { Fault } from "../../platform/fault/fault.ts"
import type { OldPaths } from "../../platform/http/wire.ts"

/** A path of what is there without its id. */
const isWithoutId = (path: string) => /[^/]\/$/.test(path)

/** Nova's and Cinder's. `project` finds the id at the path's begin, in its first group; no route begins like that. */
export function projectPaths(project: RegExp, contradicted: (named: string, own: string) => Fault): OldPaths {
  return {
    plain: (path) => {
      const plain = path.replace(project, "") || "/"
      // `/things/` is no list, but the thing with the empty id: it is not there, and no route is like this.
      return isWithoutId(plain) ? "/-" : plain
    },
    check: (path, { projectId }) => {
      const named = project.exec(path)?.[1]
      if (named !== undefined && named !== projectId) throw contradicted(named, `${projectId}`)
    },
  }
}

// `/v2.1/PROJECT/servers`: where the endpoints of older installation guides have the project. It adds nothing to the
// token, so it must say the same. In the words of Nova.

import type { OldPaths } from "../../platform/http/wire.ts"
import { badRequest } from "../index.ts"

/** What a project's id is made of (Nova's project_id_regex); no route begins like that. */
const project = /^\/([0-9a-f-]+)(?=\/|$)/

export const projectPaths: OldPaths = {
  plain: (path) => path.replace(project, "") || "/",
  check: (path, { projectId }) => {
    const named = project.exec(path)?.[1]
    if (named !== undefined && named !== projectId)
      throw badRequest(
        `Malformed request URL: URL's project_id '${named}' doesn't match Context's project_id '${projectId}'`,
      )
  },
}

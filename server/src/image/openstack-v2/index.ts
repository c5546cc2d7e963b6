import type { Api } from "../../platform/http/wire.ts"
import { cacheRoutes } from "./cache.ts"
import { renderFault } from "./fault-table.ts"
import { imageDataRoutes } from "./image-data.ts"
import { imageRoutes } from "./images.ts"
import { importRoutes } from "./imports.ts"
import { infoRoutes } from "./info.ts"
import { locationRoutes } from "./locations.ts"
import { memberRoutes } from "./members.ts"
import { metadefItemRoutes } from "./metadef-items.ts"
import { namespaceRoutes } from "./metadef-namespaces.ts"
import { schemaRoutes } from "./schemas.ts"
import { versionRoutes } from "./versions.ts"

/** The image API, version 2. */
export const imageApi: Api = {
  service: "image",
  mounts: ["/image"],
  version: "/v2",
  rootRoutes: versionRoutes,
  routes: [
    ...imageRoutes,
    ...imageDataRoutes,
    ...locationRoutes,
    ...memberRoutes,
    ...importRoutes,
    ...infoRoutes,
    ...cacheRoutes,
    ...schemaRoutes,
    ...namespaceRoutes,
    ...metadefItemRoutes,
  ],
  renderFault,
}

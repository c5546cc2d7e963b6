// Every OpenStack wire. Declarations only: making this list starts nothing.
import type { Api } from "../../platform/http/wire.ts"
import { createComputeV2Api, createComputeV20Api } from "./compute-v2/index.ts"
import { createIdentityV2Api } from "./identity-v2/index.ts"
import { createIdentityV3Api } from "./identity-v3/index.ts"
import { createImageV2Api } from "./image-v2/index.ts"
import { createNetworkV2Api } from "./network-v2/index.ts"
import { createPlacementApi } from "./placement/index.ts"

export function openstackApis(options: { hasIdentityV2?: boolean } = {}): Api[] {
  return [
    createIdentityV3Api(),
    ...(options.hasIdentityV2 === false ? [] : [createIdentityV2Api()]),
    createImageV2Api(),
    createPlacementApi(),
    createNetworkV2Api(),
    createComputeV2Api(),
    createComputeV20Api(),
  ]
}

// Every service, in the order in which they are seeded and started. A service may ask those before it. Composition,
// the layering check and the reference are made from this list.
import { blockStorageService } from "./block-storage/service.ts"
import { computeService } from "./compute/service.ts"
import type { Service } from "./engine/service.ts"
import { hostService } from "./host/service.ts"
import { identityService } from "./identity/service.ts"
import { imageService } from "./image/service.ts"
import { networkService } from "./network/service.ts"
import { placementService } from "./placement/service.ts"
import { quotaService } from "./quota/service.ts"

export const services: readonly Service[] = [
  identityService,
  quotaService,
  imageService,
  placementService,
  blockStorageService,
  networkService,
  computeService,
  hostService,
]

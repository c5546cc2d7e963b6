import type { Service } from "../engine/service.ts"
import type {} from "./tables.ts"

/** The limits of projects, for every service that has any. */
export const quotaService: Service = {
  name: "quota",
  apis: [],
  policies: [],
  sagas: [],
  reconcilers: [],
}

import type { Service } from "../engine/service.ts"
import "./config.ts"
import type {} from "./tables.ts"

/** Who may speak as a host of the cloud, and the door through which hosts on other machines do. */
export const hostService: Service = {
  name: "host",
  apis: [],
  policies: [],
  sagas: [],
  reconcilers: [],
}

// Spot checks of the permission table against what the real services' documentation says of their roles.
import assert from "node:assert/strict"
import { test } from "node:test"
import { permissionsOf } from "./permissions.ts"

/** `rule → cells`, only the personas named. */
function check(service: string, personas: readonly string[], wanted: Readonly<Record<string, string>>): void {
  const found = new Map(permissionsOf(service).map(({ policy, may }) => [policy.name, may]))
  for (const [rule, cells] of Object.entries(wanted)) {
    const may = found.get(rule)
    assert.ok(may, `${rule} is in the table`)
    assert.equal(personas.map((name) => may.get(name)).join(" | "), cells, rule)
  }
}

test("identity: administrators everywhere, managers and readers in their domain, users themselves", () => {
  const personas = [
    "admin",
    "member",
    "service",
    "domain manager",
    "domain reader",
    "system admin",
    "system reader",
  ]
  check("identity", personas, {
    "identity:create_user": "all | – | – | domain | – | all | –",
    "identity:get_user": "all | own | own | domain | domain | all | all",
    "identity:create_domain": "all | – | – | – | – | all | –",
    "identity:get_project": "all | project | project | domain | domain | all | all",
    "identity:validate_token": "all | own | all | own | own | all | all",
    "identity:create_grant": "all | – | – | domain* | – | all | –",
    "identity:create_application_credential": "own | own | own | – | – | – | –",
    "identity:list_limits": "all | all | all | all | all | all | all",
  })
})

test("compute: tokens of projects only; members change, readers look, services serve", () => {
  check("compute", ["admin", "manager", "member", "reader", "service", "system admin"], {
    "os_compute_api:servers:create": "all | project | project | – | – | –",
    "os_compute_api:servers:show": "all | project | project | project | – | –",
    "os_compute_api:servers:create:forced_host": "all | – | – | – | – | –",
    "os_compute_api:os-keypairs:create": "all | own | own | own | own | –",
  })
})

test("network and image: what is shared or public is everybody's to see and its owner's to change", () => {
  const personas = ["admin", "member", "reader", "service"]
  check("network", personas, {
    get_network: "all | project, all* | project, all* | all",
    update_network: "all | project | – | –",
    "create_network:shared": "all | – | – | –",
    create_port: "all | project | – | all",
  })
  check("image", personas, {
    get_image: "all | project, all* | project, all* | –",
    modify_image: "all | project | – | –",
    publicize_image: "all | – | – | –",
  })
})

test("placement: administrators and services, and each project its own usage", () => {
  check("placement", ["admin", "member", "reader", "service"], {
    "placement:resource_providers:create": "all | – | – | all",
    "placement:usages": "all | project | project | all",
  })
})

// Machines of a real cloud, made as a user makes them: server, floating IP, ssh.
import { setTimeout as delay } from "node:timers/promises"
import { type BootTimes, bootWithinMs, readyWord } from "./boot.ts"
import { call, type Session } from "./client.ts"
import { findQemu, processorMsOf } from "./processes.ts"
import { type SshKey, untilSsh } from "./ssh.ts"

interface FloatingIp {
  id: string
  floating_ip_address: string
}

const keyName = "bench"
const askStatusEveryMs = 10
const askConsoleEveryMs = 100

export class CloudMachines {
  readonly #session: Session
  readonly #key: SshKey
  readonly #body: object
  readonly #floatingIp: FloatingIp

  private constructor(session: Session, key: SshKey, body: object, floatingIp: FloatingIp) {
    this.#session = session
    this.#key = key
    this.#body = body
    this.#floatingIp = floatingIp
  }

  /** Key, security group rules and a floating IP: none of it is of the time that is measured. */
  static async prepare(session: Session, key: SshKey): Promise<CloudMachines> {
    const network = async <T>(path: string) => await call<T>(session, "GET", `/network/v2.0/${path}`)
    const byName = async (noun: string, name: string) => {
      const reply = await network<{ [list: string]: { id: string }[] }>(`${noun}?name=${name}`)
      const found = Object.values(reply)[0]?.[0]
      if (!found) throw new Error(`the cloud has no ${name} among its ${noun}`)
      return found.id
    }
    await call(session, "POST", "/compute/v2.1/os-keypairs", {
      keypair: { name: keyName, public_key: key.publicKey },
    })
    const rule = {
      security_group_id: await byName("security-groups", "default"),
      direction: "ingress",
      protocol: "tcp",
      port_range_min: 22,
      port_range_max: 22,
    }
    await call(session, "POST", "/network/v2.0/security-group-rules", { security_group_rule: rule })
    const { floatingip } = await call<{ floatingip: FloatingIp }>(
      session,
      "POST",
      "/network/v2.0/floatingips",
      { floatingip: { floating_network_id: await byName("networks", "public") } },
    )
    const { images } = await call<{ images: { id: string; name: string }[] }>(
      session,
      "GET",
      "/image/v2/images",
    )
    const { flavors } = await call<{ flavors: { id: string; name: string }[] }>(
      session,
      "GET",
      "/compute/v2.1/flavors",
    )
    const body = {
      imageRef: images.find((image) => image.name === "kumoi-guest")?.id,
      flavorRef: flavors.find((flavor) => flavor.name === "m1.tiny")?.id,
      networks: [{ uuid: await byName("networks", "private") }],
      key_name: keyName,
    }
    return new CloudMachines(session, key, body, floatingip)
  }

  async boot(name: string): Promise<{ serverId: string; times: BootTimes }> {
    const startedMs = performance.now()
    const deadlineMs = startedMs + bootWithinMs
    const sinceStart = () => performance.now() - startedMs
    const { server } = await call<{ server: { id: string } }>(
      this.#session,
      "POST",
      "/compute/v2.1/servers",
      {
        server: { ...this.#body, name },
      },
    )
    await this.#untilActive(server.id, deadlineMs)
    const activeMs = sinceStart()
    await this.#pointFloatingIp(server.id)
    const ready = this.#untilReady(server.id, name, deadlineMs).then(sinceStart)
    const ssh = untilSsh(this.#key, this.#floatingIp.floating_ip_address, name, { deadlineMs }).then(
      sinceStart,
    )
    const [readyMs, sshMs] = await Promise.all([ready, ssh])
    const qemuMs = processorMsOf(findQemu(server.id).pid)
    return { serverId: server.id, times: { activeMs, readyMs, sshMs, qemuMs } }
  }

  async remove(serverId: string): Promise<void> {
    await call(this.#session, "DELETE", `/compute/v2.1/servers/${serverId}`)
    const deadlineMs = performance.now() + bootWithinMs
    while (performance.now() < deadlineMs) {
      const { servers } = await call<{ servers: { id: string }[] }>(
        this.#session,
        "GET",
        "/compute/v2.1/servers",
      )
      if (!servers.some((server) => server.id === serverId)) return
      await delay(askConsoleEveryMs)
    }
    throw new Error(`server ${serverId} does not go away`)
  }

  async #untilActive(serverId: string, deadlineMs: number): Promise<void> {
    type Server = { status: string; fault?: { message: string } }
    while (performance.now() < deadlineMs) {
      const path = `/compute/v2.1/servers/${serverId}`
      const { server } = await call<{ server: Server }>(this.#session, "GET", path)
      if (server.status === "ACTIVE") return
      if (server.status === "ERROR") throw new Error(`server ${serverId}: ${server.fault?.message}`)
      await delay(askStatusEveryMs)
    }
    throw new Error(`server ${serverId} does not become ACTIVE`)
  }

  async #pointFloatingIp(serverId: string): Promise<void> {
    const { ports } = await call<{ ports: { id: string }[] }>(
      this.#session,
      "GET",
      `/network/v2.0/ports?device_id=${serverId}`,
    )
    await call(this.#session, "PUT", `/network/v2.0/floatingips/${this.#floatingIp.id}`, {
      floatingip: { port_id: ports[0]?.id },
    })
  }

  async #untilReady(serverId: string, name: string, deadlineMs: number): Promise<void> {
    while (performance.now() < deadlineMs) {
      const { output } = await call<{ output: string }>(
        this.#session,
        "POST",
        `/compute/v2.1/servers/${serverId}/action`,
        { "os-getConsoleOutput": { length: 40 } },
      )
      if (output.includes(readyWord + name)) return
      await delay(askConsoleEveryMs)
    }
    throw new Error(`server ${serverId} does not say that it is ready`)
  }
}

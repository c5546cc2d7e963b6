/** This host's part of the network, where nobody else looks after it. */
export interface NetworkPart {
  /** What is wrong with it. */
  problem(): Promise<string | null>
  /** By physical network: the bridge by which the host reaches it. */
  readonly bridgeMappings: Readonly<Record<string, string>>
}

export const describeNetwork = async ({ problem, bridgeMappings }: NetworkPart) => ({
  problem: await problem(),
  bridgeMappings,
})

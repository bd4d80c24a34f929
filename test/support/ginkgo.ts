/** One spec's outcome, out of ginkgo's JSON report. */
export interface GinkgoSpec {
  /** The texts of the containers that it is in, from the outermost. */
  readonly containers: readonly string[];
  readonly text: string;
  /** "It" for a spec; else a node of the suite, such as "BeforeSuite". */
  readonly type: string;
  readonly state: string;
  /** Of a failure or a skip. */
  readonly message: string;
}

interface ReportedSpec {
  ContainerHierarchyTexts: string[] | null;
  LeafNodeText: string;
  LeafNodeType: string;
  State: string;
  Failure?: { Message: string };
}

/** The specs of a report that ginkgo has written. */
export function parseGinkgoReport(json: string): GinkgoSpec[] {
  return (JSON.parse(json) as { SpecReports: ReportedSpec[] }[])
    .flatMap(({ SpecReports }) => SpecReports)
    .map(({ ContainerHierarchyTexts, LeafNodeText, LeafNodeType, State, Failure }) => ({
      containers: ContainerHierarchyTexts ?? [],
      text: LeafNodeText,
      type: LeafNodeType,
      state: State,
      message: Failure?.Message ?? "",
    }));
}

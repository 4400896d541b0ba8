/** Parts that several pages share. */
import { Badge, Box, Heading, HStack, Link as ChakraLink, Spinner, Table, Text, VisuallyHidden } from "@chakra-ui/react";
import type { ReactNode } from "react";
import { Link } from "react-router-dom";

import type { Failure, Figure, RequestError, Stage } from "./client";
import { ago, airflowUrl, moment, releaseName, runUrl } from "./format";

const PALETTES: Record<Stage["state"], string> = {
  asking: "purple",
  done: "green",
  failed: "red",
  "in line": "yellow",
  "no trial": "gray",
  none: "gray",
  retrying: "orange",
  running: "blue",
};

const STATE_WORDS: Record<Stage["state"], string> = {
  asking: "waits for a decision",
  done: "done",
  failed: "failed",
  "in line": "in line",
  "no trial": "no trial",
  none: "nothing yet",
  retrying: "tries again",
  running: "runs",
};

/** A link inside Airflow's UI, without loading the page again. */
export const Go = ({ children, to }: { children: ReactNode; to: string }) => (
  <ChakraLink asChild color="fg.info" textDecoration="underline">
    <Link to={to}>{children}</Link>
  </ChakraLink>
);

/** A moment as its age, with the date as its title. */
export const Age = ({ at, now }: { at: string | null | undefined; now: string }) =>
  at ? (
    <time dateTime={at} title={moment(at)}>
      {ago(at, now)}
    </time>
  ) : null;

type StateBadgeProps = { failure?: Failure | null; state: Stage["state"] };

export const StateBadge = ({ failure, state }: StateBadgeProps) => (
  <Badge colorPalette={PALETTES[state]} variant="surface">
    {state === "failed" && failure?.kind === "Rejected" ? "rejected" : STATE_WORDS[state]}
  </Badge>
);

/** How the newest release is in one stage. */
export const StageCell = ({ model, now, stage }: { model: string; now: string; stage: Stage }) => {
  if (stage.state === "none" || stage.state === "no trial" || !stage.run_id) {
    return (
      <Text color="fg.muted" fontSize="sm">
        <span aria-hidden="true">–</span>
        {stage.state === "no trial" ? " no trial" : <VisuallyHidden>nothing yet</VisuallyHidden>}
      </Text>
    );
  }
  return (
    <Box fontSize="sm">
      <HStack gap={2} wrap="wrap">
        <StateBadge failure={stage.failure} state={stage.state} />
        <Go to={runUrl(model, stage.run_id)}>{releaseName(stage.version, stage.uploaded_at) || "release"}</Go>
      </HStack>
      <Text color="fg.muted">
        <Age at={stage.since} now={now} />
      </Text>
      {stage.waits_for ? <Text>{stage.waits_for}</Text> : undefined}
    </Box>
  );
};

/** A text in which addresses of this Airflow are links. */
export const Linked = ({ text }: { text: string }) =>
  text.split(/(https?:\/\/[^\s,;)]+)/u).map((part) =>
    part.startsWith(document.baseURI) ? (
      <Go key={part} to={`/${part.slice(document.baseURI.length)}`}>
        {part}
      </Go>
    ) : (
      part
    ),
  );

const PARTS = [
  ["What", "what"],
  ["Where", "where"],
  ["Why", "why"],
  ["Fix", "fix"],
] as const;

/** Why a task failed, in full: a long reason is wrapped and never cut. */
export const FailureBox = ({ failure, model, now }: { failure: Failure; model: string; now: string }) => (
  <Box
    as="section"
    aria-label={`${failure.skipped ? "Skipped" : "Failed"}: ${failure.task_id}`}
    borderColor={failure.skipped ? "border.warning" : "border.error"}
    borderRadius="md"
    borderWidth="1px"
    p={3}
  >
    <Text fontSize="sm">
      <Go to={airflowUrl(model, failure.run_id, failure.task_id)}>{failure.task_id}</Go>{" "}
      {failure.skipped ? "was skipped" : "failed"} <Age at={failure.at} now={now} />
    </Text>
    <Box as="dl" columnGap={3} display="grid" gridTemplateColumns={{ base: "1fr", md: "max-content 1fr" }} mt={2} rowGap={1}>
      {PARTS.map(([title, name]) =>
        failure[name] ? (
          <Box display="contents" key={name}>
            <Text as="dt" fontWeight="bold">
              {title}
            </Text>
            <Text as="dd" color={name === "fix" ? "fg" : undefined} overflowWrap="anywhere" whiteSpace="pre-wrap">
              <Linked text={failure[name]} />
            </Text>
          </Box>
        ) : undefined,
      )}
    </Box>
  </Box>
);

/** The new model's numbers beside those of the live one. */
export const Figures = ({ figures, title }: { figures: Figure[]; title: string }) =>
  figures.length === 0 ? undefined : (
    <Wide label={`Table: ${title}`}>
      <Table.Root minW="32rem" size="sm" variant="line">
        <Table.Caption captionSide="top" textAlign="start">
          {title}
        </Table.Caption>
        <Table.Header>
          <Table.Row>
            {["", "This model", "Live", "Gate"].map((head) => (
              <Table.ColumnHeader key={head} scope="col">
                {head || <VisuallyHidden>Figure</VisuallyHidden>}
              </Table.ColumnHeader>
            ))}
          </Table.Row>
        </Table.Header>
        <Table.Body>
          {figures.map((one) => (
            <Table.Row key={one.name}>
              <Table.ColumnHeader fontWeight="normal" scope="row">
                {one.name}
              </Table.ColumnHeader>
              <Table.Cell>{one.new}</Table.Cell>
              <Table.Cell>{one.live ?? "–"}</Table.Cell>
              <Table.Cell>
                {one.gate ?? "–"}
                {one.passed === true ? " ✓ passed" : ""}
                {one.passed === false ? " ✗ not passed" : ""}
              </Table.Cell>
            </Table.Row>
          ))}
        </Table.Body>
      </Table.Root>
    </Wide>
  );

/** The head of a table: its columns' names. */
export const Heads = ({ of }: { of: string[] }) => (
  <Table.Header>
    <Table.Row>
      {of.map((head) => (
        <Table.ColumnHeader key={head} scope="col">
          {head}
        </Table.ColumnHeader>
      ))}
    </Table.Row>
  </Table.Header>
);

/** A table that is wider than a narrow window: it scrolls by itself, with the keyboard too. */
export const Wide = ({ children, label }: { children: ReactNode; label: string }) => (
  <Box aria-label={label} overflowX="auto" role="region" tabIndex={0}>
    {children}
  </Box>
);

/** Why nothing, or nothing newer, can be shown. */
export const Problem = ({ problem }: { problem: RequestError | undefined }) =>
  problem ? (
    <Box bg="bg.error" borderRadius="md" color="fg.error" my={2} p={3} role="alert">
      {problem.detail}
    </Box>
  ) : undefined;

/** What a page shows before its first document. */
export const Waiting = () => (
  <HStack p={4}>
    <Spinner size="sm" />
    <Text>Reading…</Text>
  </HStack>
);

/** A page's frame: it scrolls by itself, as Airflow's own pages do. */
export const Page = ({ children, title }: { children: ReactNode; title: string }) => (
  <Box h="full" id="slipway-board" overflowY="auto" p={{ base: 2, md: 4 }}>
    <Heading as="h1" mb={3} size="xl">
      {title}
    </Heading>
    {children}
  </Box>
);

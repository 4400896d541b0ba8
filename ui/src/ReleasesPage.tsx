import { Badge, Box, Button, HStack, Heading, Input, NativeSelect, SimpleGrid, Stack, Table, Text, VisuallyHidden } from "@chakra-ui/react";
import { useEffect, useState } from "react";
import { useSearchParams } from "react-router-dom";

import type { Counts, Need, Releases, Row } from "./client";
import { DecisionCard } from "./DecisionCard";
import { modelUrl } from "./format";
import { FailureBox, Go, Page, Problem, StageCell, Waiting, Wide } from "./parts";
import { ServedLine, SurveyNote, TotalCost } from "./Served";
import { useNarrow } from "./useNarrow";
import { usePoll } from "./usePoll";

const LIMIT = 25;
const STAGES = ["source", "train", "development", "approval", "production", "trial"];
const NEEDS: [Need, string][] = [
  ["decision", "Decision wanted"],
  ["failed", "Failed"],
  ["running", "Running"],
  ["done", "Done"],
];
const ORDERS = [
  ["need", "What needs somebody first"],
  ["newest", "Newest release first"],
  ["model", "Name"],
];

/** All models: what waits for a person, and where the releases are. */
export const ReleasesPage = () => {
  const [query, setQuery] = useSearchParams();
  const wanted = {
    need: query.get("need") ?? "",
    offset: Number(query.get("offset") ?? 0),
    order: query.get("order") ?? "need",
    text: query.get("text") ?? "",
  };
  const asked = new URLSearchParams({ limit: String(LIMIT), offset: String(wanted.offset), order: wanted.order });
  if (wanted.need) {
    asked.set("need", wanted.need);
  }
  if (wanted.text) {
    asked.set("text", wanted.text);
  }
  const { document: found, problem, refresh } = usePoll<Releases>(`releases?${asked.toString()}`);

  const change = (changed: Record<string, string>) =>
    setQuery(
      (before) => {
        const after = new URLSearchParams(before);
        for (const [name, value] of Object.entries({ offset: "", ...changed })) {
          if (value) {
            after.set(name, value);
          } else {
            after.delete(name);
          }
        }
        return after;
      },
      { replace: true },
    );

  return (
    <Page title="Releases">
      <Filters change={change} counts={found?.counts} need={wanted.need} order={wanted.order} text={wanted.text} />
      <Problem problem={problem} />
      <VisuallyHidden aria-live="polite">{found ? summary(found.counts) : ""}</VisuallyHidden>
      {found ? (
        <Found found={found} isFiltered={Boolean(wanted.need || wanted.text)} refresh={refresh} />
      ) : problem ? undefined : (
        <Waiting />
      )}
      {found && found.total > LIMIT ? (
        <Pages change={change} offset={wanted.offset} shown={found.models.length} total={found.total} />
      ) : undefined}
    </Page>
  );
};

const summary = (counts: Counts) =>
  `${counts.decision} wait for a decision, ${counts.failed} failed, ${counts.running} running, ${counts.done} done`;

type FiltersProps = {
  change: (changed: Record<string, string>) => void;
  counts: Counts | undefined;
  need: string;
  order: string;
  text: string;
};

const Filters = ({ change, counts, need, order, text }: FiltersProps) => (
  <Stack direction={{ base: "column", md: "row" }} gap={3} mb={3} wrap="wrap">
    <HStack aria-label="Show only" role="group" wrap="wrap">
      {[["", "All"] as const, ...NEEDS].map(([value, title]) => (
        <Button
          aria-pressed={need === value}
          key={value}
          onClick={() => change({ need: value })}
          size="sm"
          variant={need === value ? "solid" : "outline"}
        >
          {title}
          {value && counts ? <Badge>{counts[value]}</Badge> : undefined}
        </Button>
      ))}
    </HStack>
    <Search change={change} key={text === "" ? "empty" : "text"} text={text} />
    <NativeSelect.Root size="sm" width="auto">
      <NativeSelect.Field aria-label="Sort by" onChange={(event) => change({ order: event.target.value })} value={order}>
        {ORDERS.map(([value, title]) => (
          <option key={value} value={value}>
            {title}
          </option>
        ))}
      </NativeSelect.Field>
      <NativeSelect.Indicator />
    </NativeSelect.Root>
  </Stack>
);

const SEARCH_MS = 300;

/** The field for a part of a model's name; it waits until somebody has stopped typing. */
const Search = ({ change, text }: Pick<FiltersProps, "change" | "text">) => {
  const [typed, setTyped] = useState(text);
  useEffect(() => {
    if (typed === text) {
      return undefined;
    }
    const timer = setTimeout(() => change({ text: typed }), SEARCH_MS);
    return () => clearTimeout(timer);
  }, [change, text, typed]);
  return (
    <Input
      aria-label="A part of the model's name"
      maxLength={250}
      maxW="20rem"
      onChange={(event) => setTyped(event.target.value)}
      placeholder="Model"
      size="sm"
      type="search"
      value={typed}
    />
  );
};

type FoundProps = { found: Releases; isFiltered: boolean; refresh: () => void };

const Found = ({ found, isFiltered, refresh }: FoundProps) => {
  const narrow = useNarrow();
  if (found.models.length === 0) {
    return (
      <Text p={4}>
        {isFiltered
          ? "No model fits the filter. Choose “All” and empty the field for the name."
          : "There is no model that you may read. A model is a YAML file in include/models; its DAG appears a minute after the file. If there are models, ask an administrator for the permission to read their DAGs."}
      </Text>
    );
  }
  const waiting = found.models.flatMap((row) => row.decisions.map((decision) => ({ decision, row })));
  return (
    <>
      {waiting.length > 0 ? (
        <Box as="section" aria-labelledby="slipway-decisions" mb={5}>
          <Heading as="h2" id="slipway-decisions" mb={2} size="lg">
            Decisions wanted
          </Heading>
          <SimpleGrid columns={{ base: 1, xl: 2 }} gap={3}>
            {waiting.map(({ decision, row }) => (
              <DecisionCard
                decision={decision}
                heading="h3"
                key={`${row.model} ${decision.run_id} ${decision.task_id}`}
                model={row.model}
                now={found.at}
                onAnswered={refresh}
              />
            ))}
          </SimpleGrid>
        </Box>
      ) : undefined}
      <Heading as="h2" mb={2} size="lg">
        Models
      </Heading>
      <TotalCost costs={found.costs} />
      <SurveyNote now={found.at} survey={found.survey} />
      {narrow ? <Cards found={found} /> : <Models found={found} />}
    </>
  );
};

const Live = ({ row }: { row: Row }) => (
  <Text color="fg.muted" fontSize="sm">
    {row.production ? `production: ${row.production}` : "nothing in production"}
    {row.paused ? "; paused: nothing starts" : ""}
  </Text>
);

const Models = ({ found }: { found: Releases }) => (
  <Wide label="Table of the models">
    <Table.Root minW="60rem" size="sm" tableLayout="fixed" variant="outline">
      <Table.Header>
        <Table.Row>
          <Table.ColumnHeader scope="col">model</Table.ColumnHeader>
          {STAGES.map((stage) => (
            <Table.ColumnHeader key={stage} scope="col">
              {stage}
            </Table.ColumnHeader>
          ))}
        </Table.Row>
      </Table.Header>
      <Table.Body>
        {found.models.map((row) => (
          <ModelRows key={row.model} now={found.at} row={row} />
        ))}
      </Table.Body>
    </Table.Root>
  </Wide>
);

const ModelRows = ({ now, row }: { now: string; row: Row }) => (
  <>
    <Table.Row>
      <Table.ColumnHeader fontWeight="normal" scope="row" verticalAlign="top">
        <Go to={modelUrl(row.model)}>{row.model}</Go>
        <Live row={row} />
        <ServedLine served={row.served} />
      </Table.ColumnHeader>
      {row.stages.map((stage) => (
        <Table.Cell key={stage.stage} verticalAlign="top">
          <StageCell model={row.model} now={now} stage={stage} />
        </Table.Cell>
      ))}
    </Table.Row>
    {row.failure ? (
      <Table.Row>
        <Table.Cell colSpan={STAGES.length + 1}>
          <FailureBox failure={row.failure} model={row.model} now={now} />
        </Table.Cell>
      </Table.Row>
    ) : undefined}
  </>
);

/** The same for a narrow screen: a list, so that nobody has to scroll sideways. */
const Cards = ({ found }: { found: Releases }) => (
  <Stack as="ul" gap={3} listStyleType="none">
    {found.models.map((row) => (
      <Box as="li" borderRadius="md" borderWidth="1px" key={row.model} p={3}>
        <Go to={modelUrl(row.model)}>{row.model}</Go>
        <Live row={row} />
        <ServedLine served={row.served} />
        {row.failure ? <FailureBox failure={row.failure} model={row.model} now={found.at} /> : undefined}
        <Box as="dl" display="grid" gap={2} gridTemplateColumns="max-content 1fr" mt={2}>
          {row.stages
            .filter((stage) => stage.state !== "none" && stage.state !== "no trial")
            .map((stage) => (
              <Box display="contents" key={stage.stage}>
                <Text as="dt" color="fg.muted" fontSize="sm">
                  {stage.stage}
                </Text>
                <Box as="dd">
                  <StageCell model={row.model} now={found.at} stage={stage} />
                </Box>
              </Box>
            ))}
        </Box>
      </Box>
    ))}
  </Stack>
);

type PagesProps = {
  change: (changed: Record<string, string>) => void;
  offset: number;
  shown: number;
  total: number;
};

const Pages = ({ change, offset, shown, total }: PagesProps) => (
  <HStack as="nav" aria-label="Pages of models" mt={3}>
    <Button disabled={offset === 0} onClick={() => change({ offset: String(Math.max(0, offset - LIMIT)) })} size="sm" variant="outline">
      Previous
    </Button>
    <Text fontSize="sm">{`${offset + 1} to ${offset + shown} of ${total}`}</Text>
    <Button disabled={offset + shown >= total} onClick={() => change({ offset: String(offset + LIMIT) })} size="sm" variant="outline">
      Next
    </Button>
  </HStack>
);

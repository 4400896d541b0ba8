import { Box, Text } from "@chakra-ui/react";

import type { Versions } from "./client";
import { Problem, Waiting } from "./parts";
import { StartButton } from "./StartButton";
import { usePoll } from "./usePoll";

/** What a run whose version did not get to production by it offers: a new attempt at this version, by one press. */
export const NewAttempt = ({ model, runId }: { model: string; runId: string }) => {
  const path = `releases/${encodeURIComponent(model)}/${encodeURIComponent(runId)}/version`;
  const { document: found, problem } = usePoll<Versions>(path);
  const version = found?.versions[0];
  return (
    <Box aria-label="New attempt" as="section">
      <Problem problem={problem} />
      {found || problem ? undefined : <Waiting />}
      {found && version ? (
        <>
          <Text mb={2}>
            {`A new attempt at ${version.name} trains a new model and asks for approval again.`}
          </Text>
          <StartButton label="Release this version again" model={model} refusal={found.refusal} version={version} />
        </>
      ) : undefined}
    </Box>
  );
};

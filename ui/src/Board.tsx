import { Box } from "@chakra-ui/react";
import { useSearchParams } from "react-router-dom";

import { ModelPage } from "./ModelPage";
import { Go } from "./parts";
import { ReleasePage } from "./ReleasePage";
import { ReleasesPage } from "./ReleasesPage";

/** The page in Airflow's navigation: all models, or the one model or release that the address names. */
export const Board = () => {
  const [query] = useSearchParams();
  const model = query.get("model");
  const run = query.get("run");
  if (!model) {
    return <ReleasesPage />;
  }
  return (
    <Box display="flex" flexDirection="column" h="full">
      <Box as="nav" aria-label="Back" pt={2} px={{ base: 2, md: 4 }}>
        <Go to="/plugin/slipway">All models</Go>
      </Box>
      <Box flex="1" minH={0}>
        {run ? <ReleasePage dagId={model} runId={run} /> : <ModelPage dagId={model} />}
      </Box>
    </Box>
  );
};

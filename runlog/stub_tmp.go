package runlog
import ("context";"time";"github.com/google/uuid";"github.com/ledgerline/ledgerline/exports")
type PeriodSum struct { IntegrationID uuid.UUID; Period string; Start time.Time; State exports.ChainState; Counts map[exports.Outcome]exports.Count }
func ListPeriodSums(ctx context.Context, db Beginner, org uuid.UUID, since time.Time) ([]PeriodSum, error) {
 list,_,err:=ListChains(ctx,db,org,ChainFilter{}); var out []PeriodSum
 for _,c:=range list { if c.First().Trigger!=exports.ByAdopting { out=append(out,PeriodSum{c.First().IntegrationID,c.First().Period,c.First().PeriodStart,c.State(),c.Counts}) } }
 return out,err }

"""Every number of figures/README.md, and every measured one of README.md, is that of the tables.

`CLAIMS` repeats the text with a field of `claims` where a number stands, ``{rate SS omega}``, and ``...`` where text is
left out; a field reads the tables of the section's study, or of ``table=``. What is filled in must stand in the text,
in this order, and every numeral of the text must be filled in, a sample size, or one of `DECLARED`, with the reason why
no table has it.
"""

import functools
import re

import claims
import pytest

CLAIMS = {
    "": """
        Up to {floor_until SS table=over-by-one} many
        ... under SS {on_floor SS table=over-by-one} of
        ... Replicates are {replicated}
        ... rates of omega that hold both {derived SS omega table=over-by-one} and
        {published SS omega table=over-by-one}, and most differences of omega between SS and LL, as they hold
        {gap SS LL omega table=over-by-one} (derived) and {gap SS LL omega form=published table=over-by-one} (published)
        ... {rechecked}
        ... `exact` ({fits SS SL LS LL table=exact} fits)
    """,
    "exact": """
        *{truth} fitted exactly, SS, SL, LS, LL; {grid}.*
        ... **They do, from {upper_from} on.** Over the upper half of the sizes ({upper}) the Hellinger distance falls
        with {span SS,SL,LS,LL hellinger column=local_slope} under all four gatings, the Voronoi loss with
        {span SS,SL,LS,LL loss_published,loss_sharp column=local_slope}, and {local_means 0.5} local rates of means have
        intervals that hold {derived SS hellinger}.
        ... the Hellinger distance has {span SS,SL,LS,LL hellinger} everywhere: the intervals of {number} sizes
        ... omega {rate SL omega} under SL and {rate LL omega} under LL,
        ... ({bounded SL} and {bounded LL} of {fits LL} fits lie on it)
    """,
    "over-by-one": """
        *{truth}, three experts fitted to two in both groups, all four gatings; {grid}.*
        ... omega falls with alpha {rate SS omega} under SS and {rate LS omega} under LS (derived
        {derived SS,LS omega}), with {rate SL omega} under SL and {rate LL omega} under LL (derived
        {derived SL,LL omega}). On the same data SS and LL differ by {apart SS LL omega}, SS and SL by
        {apart SS SL omega}, LS and LL by {apart LS LL omega} (derived {gap SS LL omega}); SS and LS by
        {apart SS LS omega}, SL and LL by {apart SL LL omega} (derived {gap SS LS omega}). Of the
        {pairs SS|LS,SL|LL parameters} paired differences of means, of parameters and losses, between gatings that share
        level 2, {excluding SS|LS,SL|LL parameters} exclude 0, by a hair ({excluded SS|LS,SL|LL parameters}). The
        published exponents of omega, {published SS omega} for SS, LS and SL and {published LL omega} for LL,
        ... all {slower_than published SS,SL,LS,LL omega} intervals lie above them.
        ... It falls with {rate SS mean-eta} under SS and {rate LS mean-eta} under LS, {verdict SS,LS mean-eta} than the
        derived {derived SS,LS mean-eta}, and with {rate SL mean-eta} and {rate LL mean-eta} under SL and LL (derived
        {derived LL mean-eta}). SS and LL differ by {apart SS LL mean-eta}, which holds 0 and ends short of the derived
        {short_of SS LL mean-eta};
        ... With the first twenty replicates alone this difference had been {of_first 20 SS LL mean-eta}, and LL faster
        than SL in omega by {of_first 20 SL LL omega};
        ... The expert function over split cells falls with alpha {rate SS expert} under SS, {rate SL expert} under SL,
        {rate LS expert} under LS and {rate LL expert} under LL; the derived {derived SS,SL,LS,LL expert}, for all, is
        the worst case. All {all_hold SS|SL,SS|LS,SS|LL,SL|LS,SL|LL,LS|LL expert} paired differences hold 0. At n = 1e5
        its error is {error SS expert 1e5}, {error SL expert 1e5}, {error LS expert 1e5} and {error LL expert 1e5}:
        ... Gate functions of split cells fall with {span SS,SL,LS,LL gate}, mean functions with
        {span SS,SL,LS,LL cell_mean} (derived {derived SS cell_mean}).
        ... eta ({span SS,SL,LS,LL eta}, derived {derived SS,SL,LS,LL eta}), tau ({span SS,SL,LS,LL tau}, derived
        {derived SS tau}) and nu ({span SS,SL,LS,LL nu}, derived {derived SS,SL,LS,LL nu}) are
        {verdict SS,SL,LS,LL eta,tau,nu} than
        ... nu over the cell ({span SS,SL,LS,LL mean-nu}, derived {derived SS mean-nu}, ...), those of tau under SL and
        LS ({span SL,LS mean-tau}, derived {derived SL mean-tau}), and the losses
        ({span SS,SL,LS,LL loss_published,loss_sharp}, derived {derived SS loss_sharp}). {bounded SS SL LS LL} of
        {fits SS SL LS LL} fits lie on the box.
    """,
    "nine-decades": """
        *{truth}, three experts fitted to two in both groups, SS, SL, LS, LL and QQ, on a lattice; {reach},
        {number} sizes, {asked} replicates.*
        ... omega falls with alpha {rate SS omega} under SS and {rate LS omega} under LS, which
        {limit_verdict SS,LS omega} with the derived {derived SS,LS omega} to within 0.05, with {rate SL omega} under
        SL, {verdict SL omega} with the derived {derived SL omega}, and with {rate LL omega} under LL,
        **{verdict LL omega}** than it by a hair. The mean of eta over the cell falls with {rate SS mean-eta} and
        {rate LS mean-eta} under SS and LS, **{verdict SS,LS mean-eta}** than the derived {derived SS,LS mean-eta}, and
        with {rate SL mean-eta} and {rate LL mean-eta} under SL and LL (derived {derived SL,LL mean-eta}).
        ... by {apart SS LL omega} in omega, and {gap_where SS LL omega form=derived}; by {apart SS LL mean-eta} in the
        mean of eta, and {gap_where SS LL mean-eta form=derived}. SS and LS differ by {apart SS LS omega} and
        {apart SS LS mean-eta}, SL and LL by {apart SL LL omega} and {apart SL LL mean-eta}. Intervals of rates
        ... The expert function over split cells falls with {rate SS expert} under SS, {rate SL expert} under SL,
        {rate LS expert} under LS, {rate LL expert} under LL and {rate QQ expert} under QQ. All
        {all_agree SS|SL,SS|LS,SS|LL,SS|QQ,SL|LS,SL|LL,SL|QQ,LS|LL,LS|QQ,LL|QQ expert} paired differences agree with 0
        ... that of SS and LL is {apart SS LL expert}. To bring its mean error to 0.1, SS takes
        {rows_ratio SS LL expert 0.1} times the rows of LL, to 0.2 {rows_ratio SS LL expert 0.2} times:
        ... Gate functions of split cells fall with {span SS,SL,LS,LL,QQ gate}, their mean functions with
        {span SS,SL,LS,LL,QQ cell_mean} (derived {derived SS cell_mean}).
        ... From 1e9 on their omega falls with {far 1e9 QQ omega}, which holds the {far_holds 1e9 QQ omega SS} of
        softmax and not the {far_misses 1e9 QQ omega LL} of Laplace gates, and the mean of eta with
        {far 1e9 QQ mean-eta}, which holds the {far_holds 1e9 QQ mean-eta LL} of Laplace gates and not the
        {far_misses 1e9 QQ mean-eta SS} of softmax:
        ... Over all sizes both are {verdict QQ omega,mean-eta}, {rate QQ omega} and {rate QQ mean-eta}.
        ... of {half_differences} differences between their rates, each by its standard error, the standard deviation is
        {halves}. Ordinary samples fall alike: over the sizes that both have, {apart_at_n table=over-by-one} from those
        here.
        ... From 1e6 on it changes by {gain_trend SL 1e6} a decade under SL and by {gain_trend QQ 1e6} under QQ,
        ... by {gain_trend SS 1e6}, {gain_trend LS 1e6} and {gain_trend LL 1e6} under SS, LS and LL.
        ... ({gain SS 1e3} under SS at 1e3, {gain SS 1e6} at 1e6),
        ... tau, {span SS,SL,LS,LL,QQ tau}, and the expert function are {verdict SS,SL,LS,LL,QQ tau,expert} than the
        derived {derived SS,SL,LS,LL,QQ tau,expert} over all sizes. From 1e9 on tau falls with
        {far_span 1e9 SS,SL,LS,LL,QQ tau} and the expert function with {far_span 1e9 SS,SL,LS,LL,QQ expert}, under SS
        {far 1e9 SS expert} and under QQ {far 1e9 QQ expert} still faster: {asked} replicates
    """,
    "search": """
        with {starts} starts instead of ..., {grid}.*
        ... With {starts} starts {beside_twelve}. All
        {all_hold search:SS|over-by-one:SS,search:LL|over-by-one:LL parameters mean,median,q90} paired differences of
        rates of parameters and losses, of means, medians and 0.9 quantiles, hold 0: omega moves by
        {moved search:SS over-by-one:SS omega} under SS and by {moved search:LL over-by-one:LL omega} under LL, the mean
        of eta over the cell by {moved search:SS over-by-one:SS mean-eta} and {moved search:LL over-by-one:LL mean-eta}.
        {wide search:SS|over-by-one:SS,search:LL|over-by-one:LL parameters} of them are so wide that they say nothing:
        ... With {starts} starts omega under SS, {rate SS omega}, is {verdict SS omega}.
        ... omega under LL is {verdict over-by-one:LL omega} than its limit by a hair with twelve starts and
        {fewest over-by-one:LL omega} replicates, {rate over-by-one:LL omega}, and {rate LL omega} with {starts} starts:
        ... whether {starts} starts are enough,
        ... sizes past {last}.
    """,
    "elsewhere": """
        *{truth}, the data of `over-by-one`, SS and LL, fitted without keeping experts with their groups; {grid}.*
        ... Of {replicates} data sets at n = {each_size}, an optimum elsewhere in the box stands above
        the local one in at least {above_local SS} under SS, and in {above_local LL} under LL, by up to {highest} in
        log-likelihood; in {below_local} the search
        ... the median Voronoi loss is {losses SS} under SS, where the local estimates have {losses over-by-one:SS}, and
        {losses LL} under LL, against {losses over-by-one:LL}.
    """,
    "over-by-two": """
        *{truth}, five experts fitted to three in both groups, SS and LL; {grid};
        ... Do softmax exponents of omega and eta stay at {derived SS omega} for cells of three, as derived, or fall to
        {published SS omega} and {published SS eta}, as published?
        ... Under SS omega falls with alpha {rate SS omega} (derived {derived SS omega}; the published
        {where published SS omega}), the mean of eta over the cell with {rate SS mean-eta} (derived
        {derived SS mean-eta}) and nu with {rate SS nu} (derived {derived SS nu}). Under LL omega has {rate LL omega}
        (derived {derived LL omega}) and the mean of eta over the cell {rate LL mean-eta} (derived
        {derived LL mean-eta}).
        ... SS and LL are **{told SS LL omega}** in cells of three: on the same data omega differs by
        {apart SS LL omega} (derived {gap SS LL omega}), the mean of eta over the cell by {apart SS LL mean-eta}
        (derived {gap SS LL mean-eta}); in cells of two omega differs by {apart SS LL omega size=2}. *Not settled:* eta,
        {rate SS eta} and {rate LL eta}, and tau, {rate SS tau} and {rate LL tau}, are {verdict SS,LL eta,tau} than
        their limits under both; under SS the mean of tau over the cell is {verdict SS mean-tau} than
        {derived SS mean-tau} as well, and the weight of the cell in its group, {rate SS beta}, is **{verdict SS beta}
        than the derived {derived SS beta}**. Cells of three come up in no fewer than {fewest SS omega} (SS) and
        {fewest LL omega} (LL) of {replicates} replicates of a size, and {bounded SS LL} of {fits SS LL} fits lie on the
        box.
    """,
    "unidentified": """
        *{truth}, three experts fitted to one in both groups, SS and LL; {grid}.*
        ... The mean of eta over the cell falls with alpha {rate SS mean-eta} under SS (derived {derived SS mean-eta})
        and {rate LL mean-eta} under LL (derived {derived LL mean-eta}; the certificate has {certificate LL mean-eta}),
        a paired difference of {apart SS LL mean-eta} (derived {gap SS LL mean-eta}); eta with {rate SS eta} under SS
        (derived {derived SS eta}) and {rate LL eta} under LL (derived {derived LL eta}), apart by {apart SS LL eta}.
        Level-2 gates do not converge: omega {rate SS omega} under SS and {rate LL omega} under LL. *Not settled:* tau
        under SS, {rate SS tau}, is {verdict SS tau} than {derived SS tau}, and nu, {rate SS nu}, than {derived SS nu};
        the published loss,
        ... n^(-1/2) under SS, {rate SS loss_published}, and is {verdict LL loss_published form=published} under LL,
        {rate LL loss_published}.
    """,
    "unidentified-far": """
        *{truth}, three experts fitted to one in both groups, SS and LL, on a lattice; {reach}, {number} sizes,
        {asked} replicates.*
        ... The mean of eta over the cell falls with {rate SS mean-eta} under SS, {verdict SS mean-eta} than the
        derived {derived SS mean-eta}, and with {rate LL mean-eta} under LL, {verdict LL mean-eta} with the derived
        {derived LL mean-eta}: a paired difference of {apart SS LL mean-eta}. eta falls with {rate SS eta} under SS
        (derived {derived SS eta}) and with {rate LL eta} under LL (derived {derived LL eta}), apart by
        {apart SS LL eta}. But the expert function over the cell falls with {rate SS expert} under SS and
        {rate LL expert} under LL (derived {derived SS,LL expert} for both), a difference of {apart SS LL expert},
        which {agrees SS LL expert} with 0; so does tau, {rate SS tau} and {rate LL tau}, apart by {apart SS LL tau}.
        To bring the mean error of the expert function to 0.1, SS takes {rows_ratio SS LL expert 0.1 size=3} times
        the rows of LL, to 0.05 {rows_ratio SS LL expert 0.05 size=3} times.
        ... omega does not fall, {rate SS omega} and {rate LL omega}; the mean function of the cell falls with
        {span SS,LL cell_mean} under both (derived {derived SS,LL cell_mean}).
        ... Of the fits at 1e11 and 1e12 rows {without_optimum SS 1e11} under SS and {without_optimum LL 1e11} under LL
        ... changes by {gain_trend SS 1e6} a decade from 1e6 on under SS and by {gain_trend LL 1e6} under LL.
        ... eta, tau, nu ({span SS,LL nu} under both, derived {derived SS,LL nu}) and the expert function are
        {verdict SS,LL eta,tau,nu,expert} than derived
    """,
    "many-truths": """
        both groups, SS, SL, LS, LL, on a lattice; {reach}, {number} sizes, {asked} replicates.*
        ... omega falls with {rate SS omega} under SS and {rate LS omega} under LS (derived {derived SS,LS omega}), with
        {rate SL omega} under SL and {rate LL omega} under LL (derived {derived SL,LL omega}): SS and LL are apart by
        {apart SS LL omega}, derived {gap SS LL omega}. The mean of eta over the cell falls with {rate SS mean-eta}
        under SS and {rate LS mean-eta} under LS (derived {derived SS,LS mean-eta}), with {rate SL mean-eta} under SL
        and {rate LL mean-eta} under LL (derived {derived SL,LL mean-eta}): SS and LL are apart by
        {apart SS LL mean-eta}, derived {gap SS LL mean-eta}. Of the expert function over the cell no gating has the
        advantage: it falls with {span SS,SL,LS,LL expert} under all four, SS and LL apart by {apart SS LL expert}.
        ... faster than the derived {derived SS,SL,LS,LL tau,expert} or undecided, as in `nine-decades`. At 1e12 rows
        {without_optimum SS 1e12} fits under SS, {without_optimum SL 1e12} under SL, {without_optimum LS 1e12} under LS
        and {without_optimum LL 1e12} under LL met no optimum
    """,
    "same-data-softmax": """
        *{truth} with softmax gates, three experts fitted to two in both groups under every gating, on a lattice;
        {reach}, {number} sizes, {asked} replicates.*
        ... The Hellinger distance falls with {rate SS hellinger} under SS and rests at {error SL hellinger 1e12} under
        SL, {error LS hellinger 1e12} under LS, {error LL hellinger 1e12} under LL and {error QQ hellinger 1e12} under
        QQ. The expert function over a split cell has a mean error of {error_interval SS expert 1e4} under SS at 1e4
        rows, against {error_interval SL expert 1e4} under SL and {error_interval LL expert 1e4} under LL; at 1e8 of
        {error_interval SS expert 1e8} against {error_interval SL expert 1e8} and {error_interval LL expert 1e8}. SL and
        LL go no lower, {error SL expert 1e12} and {error LL expert 1e12} at 1e12, and SS comes below LL at the
        largest n alone, {error_interval SS expert 1e12}, where it is not told from SL. LS, with
        {error LS expert 1e12}, and QQ, with {error QQ expert 1e12}, are worse at every n.
        ... Under SS {without_optimum SS} fits
    """,
    "classes": """
        *{truth}, two categorical experts of three classes on the line, fitted with two and with three under SS, LL and
        QQ, on a lattice; {reach}, {number} sizes, {asked} replicates.*
        ... tau of each expert falls with {rate SS tau} under SS, {rate LL tau} under LL and {rate QQ tau} under QQ,
        whose gates see x^2 and do not interact (derived {derived SS,LL,QQ tau} for all; Gaussian experts have
        {derived SS,LL tau table=nine-decades}), and the expert function over the split cell with {rate SS expert},
        {rate LL expert} and {rate QQ expert} (derived {derived SS,LL,QQ expert}). The mean of eta over the cell, which
        the interaction slows down to {derived SS mean-eta table=nine-decades} where experts are Gaussian, falls with
        {rate SS mean-eta}, {rate LL mean-eta} and {rate QQ mean-eta}, derived {derived SS,LL,QQ mean-eta} for all: SS
        and LL are apart by {apart SS LL mean-eta}. omega falls with {rate SS omega} under SS and {rate LL omega} under
        LL (derived {derived SS omega} and {derived LL omega}). Fitted exactly, omega, eta and tau fall with
        {span SS@2,LL@2,QQ@2 omega,eta,tau} under all three.
        ... and QQ, whose cell means, with {rate QQ cell_mean}, are slower than the derived {derived QQ cell_mean}. At
        1e12 rows {without_optimum SS 1e12} fits under SS, {without_optimum LL 1e12} under LL and
        {without_optimum QQ 1e12} under QQ met no optimum.
    """,
    "classes-constant": """
        *{truth}, as M2 but for the second expert, whose slopes vanish, fitted with two and with three under SS, LL and
        QQ, on a lattice; {reach}, {number} sizes, {asked} replicates.*
        ... tau over split cells with {rate SS tau} under SS and {rate LL tau} under LL; under QQ, the transformed gate,
        it does not, {rate QQ tau}. The constant expert is the one that is split in {split_at SS 0,1} fits under SS,
        {split_at LL 0,1} under LL and {split_at QQ 0,1} under QQ. There (exploratory) the median error of tau goes from
        {median_at SS tau 0,1 1e6} at 1e6 rows to {median_at SS tau 0,1 1e12} at 1e12 under SS, from
        {median_at LL tau 0,1 1e6} to {median_at LL tau 0,1 1e12} under LL, from {median_at QQ tau 0,1 1e6} to
        {median_at QQ tau 0,1 1e12} under QQ. The mean of eta over split cells falls with {rate SS mean-eta},
        {rate LL mean-eta} and {rate QQ mean-eta}.
    """,
    "level-one": """
        *{truth} with one group too many,
        ... {grid}, {starts} starts.*
        ... converge at {derived SS a} under softmax and {derived LL a} under Laplace gates
        ... a falls with {rate SS a} under SS, {rate SL a} under SL (derived {derived SS a}) and {rate LL a} under LL
        (derived {derived LL a}): all {verdict SS,SL,LL a}, and the published {published SS a} for softmax lies
        {outside published SS,SL a}, but softmax and Laplace are **{told SS LL a}** (LL - SS {apart SS LL a}, derived
        {gap SS LL a}). omega of groups that share a true group is {told SS LL omega}: on the same data SS and LL differ
        by {apart SS LL omega} (derived {gap SS LL omega}). Under SL and LL it falls with {rate SL omega} and
        {rate LL omega}, {verdict SL,LL omega} with the derived {derived SL omega}; under SS, {rate SS omega} is
        {verdict SS omega}, as it holds the published {published SS omega} besides the derived {derived SS omega}. *Not
        settled:* under SL the means of eta over the cell, {rate SL mean-eta}, and of tau, {rate SL mean-tau}, are
        {verdict SL mean-eta,mean-tau} than the derived {derived SL mean-eta}, as are nu and its mean over the cell
        under all three ({span SS,SL,LL nu,mean-nu}, derived {derived SS nu}); the mean of the published loss under SS,
        {rate SS loss_published}, says nothing and is that of single fits (its median falls with
        {median SS loss_published}).
    """,
    "box, box-wide": """
        {reach}, {number} sizes, {replicates} replicates (of 1.5: {fewest over-by-one:SS omega}).*
        ... Alpha of omega under SS: {rate SS omega}, {rate over-by-one:SS omega}, {rate box-wide:SS omega} in boxes of
        ... (in the narrow box {verdict SS omega}: the published {where published SS omega}, too); eta {alpha SS eta},
        {alpha over-by-one:SS eta}, {alpha box-wide:SS eta}; tau {alpha SS tau}, {alpha over-by-one:SS tau},
        {alpha box-wide:SS tau}.
        ... omega moves by {apart SS over-by-one:SS omega}, from there to the wide one by
        {apart over-by-one:SS box-wide:SS omega}. Under LL it moves less, {alpha LL omega}, {alpha over-by-one:LL omega}
        and {alpha box-wide:LL omega}, so that in the wide box the gatings are {told box-wide:SS box-wide:LL omega}.
        Means over the cell (SS: eta {alpha SS mean-eta}, {alpha over-by-one:SS mean-eta}, {alpha box-wide:SS mean-eta};
        tau {alpha SS mean-tau}, {alpha over-by-one:SS mean-tau}, {alpha box-wide:SS mean-tau}) hardly
    """,
    "plane": """
        *{truth}, over the plane
        ... {grid}.*
        ... Exact fits: loss {rate SS@2,2 loss_published} under SS, {rate LL@2,2 loss_published} under LL. One too many:
        omega {rate SS omega} under SS and {rate LL omega} under LL. The derived exponents are {derived SS,LL omega} for
        both
        ... {verdict SS omega} for SS, {verdict LL omega} for LL. The mean of eta over the cell is {rate SS mean-eta}
        under SS, **{verdict SS mean-eta} than the derived {derived SS mean-eta}**, and {rate LL mean-eta} under LL: the
        contrast of one dimension, {gap SS LL mean-eta table=over-by-one}, is not there at these n
        ({apart SS LL mean-eta}), while omega differs, by {apart SS LL omega} where nothing is derived.
        ... {bounded SS LL} of the {fits SS LL} fits with an expert too many lie on the box.
    """,
    "million": """
        SS and LL at n = {last}, {replicates} replicates, added to its curves: {reach}, {number} sizes.*
        ... omega falls with alpha {rate SS omega} under SS (derived {derived SS omega}) and {rate LL omega} under LL
        (derived {derived LL omega}); the mean of eta over the cell with {rate SS mean-eta} (derived
        {derived SS mean-eta}; over the upper half of the sizes {local SS mean-eta}) and {rate LL mean-eta} (derived
        {derived LL mean-eta}). On the same data SS and LL differ by {apart SS LL omega} in omega (derived
        {gap SS LL omega}; the published {gap_where SS LL omega}, too) and by {apart SS LL mean-eta} in the mean of eta
        (derived {gap SS LL mean-eta}),
        ... The published {published SS omega} and {published LL omega} for omega lie {outside published SS,LL omega}.
        *Not settled:* eta ({alpha SS eta}, {alpha LL eta}), tau ({alpha SS tau}, {alpha LL tau}), nu ({alpha SS nu},
        {alpha LL nu}) and its mean over the cell ({alpha SS mean-nu}, {alpha LL mean-nu}) are still
        {verdict SS,LL eta,tau,nu,mean-nu} than derived at a million rows, and so are the losses
        ({span SS,LL loss_published,loss_sharp}), by less than over two decades; the means of omega over the cell differ
        by {apart SS LL mean-omega}, where no difference is derived.
    """,
    "quick": "{truth}, exact and one expert too many, SS and LL; {reach}, {replicates} replicates.",
    "reproduction, reproduction-em": """
        {grid}.
        ... takes {iterations 3 1e3} iterations on average at n = 1e3, {iterations 3 1e4} at 1e4 and {iterations 3 1e5}
        at 1e5.
        ... at 1e5 the mean Hellinger distance of three and of four experts,
        {error SS@3 hellinger 1e5 shown=.2g table=reproduction-em} and
        {error SS@4 hellinger 1e5 shown=.2g table=reproduction-em}, is that of two,
        {error SS@2 hellinger 1e5 shown=.2g table=reproduction-em}, where the maximum-likelihood estimates are at
        {error SS@3 hellinger 1e5 shown=.2g} and {error SS@4 hellinger 1e5 shown=.2g}. Its published loss,
        {error SS@3 loss_published 31623 shown=.2g table=reproduction-em} at 3.2e4 and
        {error SS@3 loss_published 1e5 shown=.2g table=reproduction-em} at 1e5 for three experts,
        ... shrink like n^(-{shrinks omega}) and, of variances, n^(-{shrinks nu}).
        ... the loss is {error SS@3 loss_published 1e4 shown=.2g table=reproduction-em} at 1e4 and
        {error SS@3 loss_published 1e3 shown=.3g table=reproduction-em} at 1e3, and over all sizes falls with
        {rate SS@3 loss_published table=reproduction-em} for three experts,
        {rate SS@4 loss_published table=reproduction-em} for four:
        ... ({bounded SS@3} of {fits SS@3} of three experts, {bounded SS@4} of {fits SS@4} of four),
        ... falls with {rate SS@3 loss_published} and {rate SS@4 loss_published}, {verdict SS@3 loss_published} with
        {derived SS@3 loss_published}, and their rates of split parameters, tau {rate SS@3 tau size=2}, are those of a
        wide box (`box`), not the worst case {derived SS@3 tau}.
        ... **Carried on to 1e12 rows** (... {grid table=reproduction-far-em}),
        ... ends after {stopped}
        ... falls with {local_rate SS@3 tau size=2 table=reproduction-far-em} and
        {local_rate SS@4 tau size=2 table=reproduction-far-em},
        ... falls with
        {local_rate SS@3 hellinger table=reproduction-far-em} and {local_rate SS@4 hellinger table=reproduction-far-em}
        there, slower than
        ... have {span SS@3,SS@4 hellinger table=reproduction-far} for the Hellinger distance, and tau
        {rate SS@3 tau size=2 table=reproduction-far} and {rate SS@4 tau size=2 table=reproduction-far} over all sizes,
        where {bounded SS@3 SS@4 table=reproduction-far} of {fits SS@3 SS@4 table=reproduction-far} lie on a bound: the
        rate of a wide box, not {derived SS@3 tau}.
    """,
    "applied-images": """
        and as trees; {splits} splits.* ... **Not so that {splits} splits ... (2, 2) is {scored digits SS 2,2 log_loss}
        nats a row under SS, {scored digits SL_tuned 2,2 log_loss} under SL, {scored digits LS_tuned 2,2 log_loss} under
        LS, {scored digits LL_tuned 2,2 log_loss} under LL and {scored digits QQ 2,2 log_loss} under ... from SS by
        {differs digits LL_tuned 2,2 log_loss}, of (3, 3) by {differs digits LL_tuned 3,3 log_loss}, of flat models by
        {differs digits LL_tuned 4 log_loss}: {said_of digits SL_tuned,LS_tuned,LL_tuned,QQ 2,2 log_loss}, all of them.
        Logistic regression has {scored digits linear - log_loss}, a forest {scored digits forest - log_loss}, **an ...
        SS (2, 2) {scored digits network - log_loss}**: better ... routing information is
        {scored digits SS 2,2 routing_information} nats under SS and {scored digits LL_tuned 2,2 routing_information}
        under LL, {scored digits SL_tuned 2,2 routing_information} under SL,
        {scored digits LS_tuned 2,2 routing_information} under LS and {scored digits QQ 2,2 routing_information} under
        QQ:
    """,
    "applied-tables": """
        numbers, (2, 2); {splits} splits ... of SS is {differs all SL 2,2 log_loss} nats a row under SL,
        {differs all LS 2,2 log_loss} under LS and {differs all LL 2,2 log_loss} under LL: each
        {said_of all SL,LS,LL 2,2 log_loss}, 0.05 nats. QQ is at {differs all QQ 2,2 log_loss},
        {said_of all QQ 2,2 log_loss}, and so are the linear model, {differs all linear - log_loss}, and a forest,
        {differs all forest - log_loss}: tables ... of SS is {differs all SL 2,2 routing_information} nats under SL,
        which {said_of all SL 2,2 routing_information}, {differs all LS 2,2 routing_information} under LS,
        {differs all LL 2,2 routing_information} under LL and {differs all QQ 2,2 routing_information} under QQ.
    """,
    "applied-domains": """
        SS and LL; {splits} splits.* ... the domain is {scored digits_in_domains SS 2,2,2 adjusted_Rand,_posterior}
        under SS and {scored digits_in_domains LL 2,2,2 adjusted_Rand,_posterior} under ... Gaussian mixture have
        {scored digits_in_domains k-means - adjusted_Rand,_posterior};
        {scored penguins_in_species SS 2,2,2 adjusted_Rand,_posterior} and
        {scored penguins_in_species LL 2,2,2 adjusted_Rand,_posterior} on penguins, where these have
        {scored penguins_in_species k-means - adjusted_Rand,_posterior} and
        {scored penguins_in_species Gaussian_mixture - adjusted_Rand,_posterior};
        {scored changing_relation SS 2,2,2 adjusted_Rand,_posterior} and
        {scored changing_relation LL 2,2,2 adjusted_Rand,_posterior} on the changing relation, where they have
        {scored changing_relation k-means - adjusted_Rand,_posterior} and
        {scored changing_relation Gaussian_mixture - adjusted_Rand,_posterior}. Between SS and LL nothing is told:
        {differs digits_in_domains LL 2,2,2 adjusted_Rand,_posterior},
        {differs penguins_in_species LL 2,2,2 adjusted_Rand,_posterior} and
        {differs changing_relation LL 2,2,2 adjusted_Rand,_posterior}. On ... log loss is
        {scored digits_in_domains SS 2,2,2 log_loss,_unseen_domain} under SS,
        {scored digits_in_domains LL 2,2,2 log_loss,_unseen_domain} under LL and
        {scored digits_in_domains linear - log_loss,_unseen_domain} of logistic
    """,
    "applied-modalities": """
        both on both; {splits} splits.* ... the table, and {splits} splits ... on the second,
        {differs digits_in_blocks SS_gates_on_A 2,2 log_loss} on digits,
        {differs penguins_in_blocks SS_gates_on_A 2,2 log_loss} on penguins and
        {differs weather_in_blocks SS_gates_on_A 2,2 log_loss} on days; under LL
        {differs digits_in_blocks LL_gates_on_A 2,2 log_loss}, {differs penguins_in_blocks LL_gates_on_A 2,2 log_loss}
        and {differs weather_in_blocks LL_gates_on_A 2,2 log_loss}. Where ... both blocks is
        {differs penguins_in_blocks SS_gates_on_A 2,2 log_loss,_without_A} under SS and
        {differs penguins_in_blocks LL_gates_on_A 2,2 log_loss,_without_A} under LL, and
        {differs penguins_in_blocks linear - log_loss,_without_A} of the
    """,
    "applied-units": """
        profiled; (2, 2), {splits} splits.* ... of SS is {differs motorcycle,_x_times_0.1 LL_per_unit 2,2 log_loss},
        {differs motorcycle,_x_times_1 LL_per_unit 2,2 log_loss} and
        {differs motorcycle,_x_times_10 LL_per_unit 2,2 log_loss} nats ... and 10, and
        {differs penguins,_x_times_0.1 LL_per_unit 2,2 log_loss}, {differs penguins,_x_times_1 LL_per_unit 2,2 log_loss}
        and {differs penguins,_x_times_10 LL_per_unit 2,2 log_loss} on ... deviation it is
        {differs motorcycle,_x_times_0.1 LL 2,2 log_loss}, {differs motorcycle,_x_times_1 LL 2,2 log_loss} and
        {differs motorcycle,_x_times_10 LL 2,2 log_loss}, where ... one split, and
        {differs penguins,_x_times_0.1 LL 2,2 log_loss}, {differs penguins,_x_times_1 LL 2,2 log_loss} and
        {differs penguins,_x_times_10 LL 2,2 log_loss}. Over the six, LL with this scale {said_of all LL 2,2 log_loss},
        {differs all LL 2,2 log_loss}; per unit of x it is at {differs all LL_per_unit 2,2 log_loss}, and ... likelihood
        chooses at {differs all LL_profile 2,2 log_loss}: profiling gives back nothing here. *Not settled:* {splits}
        splits tell
    """,
    "applied-sample-size": """
        on a lattice; {reach}, {number} sizes, {asked} truths.* ... as far as {asked} truths ... function, SS takes
        {rows_ratio SS@2,2 LL@2,2 expert 0.03 size=1} times ... is exact, and {rows_ratio SS LL expert 0.03 size=1}
        times ... 0.01 it is {rows_ratio SS@2,2 LL@2,2 expert 0.01 size=1} and {rows_ratio SS LL expert 0.01 size=1}. In
        split cells it takes {rows_ratio SS LL expert 0.2} times the rows for an error of 0.2,
        {rows_ratio SS LL expert 0.1} times ... fits falls with {rate SS@2,2 hellinger} under SS and
        {rate LL@2,2 hellinger} under LL.
    """,
    "coverage": """
        n = {coverage_sizes}, {samples} samples.*
        ... At n = 5000 they do: parameters in {coverage 5000 parameters} % of cases, gating by gating.** Functions of x
        ... in {coverage 5000 functions} %. At n = 500 parameters come to {coverage 500 parameters} %, functions to
        {coverage 500 functions} %, lowest the {lowest 500}:
        ... ({worst 500 log_nu} % at worst). Of the parameters of SL and LL gates {without_error 500 SL LL} % have no
        standard error then:
        ... Outer products come nearest at n = 500 ({coverage 500 parameters kind=opg} %). Simultaneous bands of the
        mean are short at n = 500, too ({coverage 500 band digits=0} %),
        ... each of which {samples} samples tell to {tells} %.
        ... was set to {samples}
        ... holds parameters in {coverage 5000 parameters file=penalised} % of cases at n = 5000 and in
        {coverage 500 parameters file=penalised} % at n = 500, functions in {coverage 5000 functions file=penalised} and
        {coverage 500 functions file=penalised} %.
    """,
}
README = {  # sections of README.md, of which fields name their table
    "Standard errors, intervals, predictions": """
        ... On {samples table=coverage} samples of C2 under each of
        ... hold the truth in {coverage_about 5000 table=coverage} % of cases at n = 5000, and in
        {coverage 500 parameters table=coverage} % at n = 500, where SL and LL have no standard error for
        {without_error 500 SL LL table=coverage} % of the gates' parameters.
    """,
    "What came out so far": """
        ... (`nine-decades`, {reach table=nine-decades}, {asked table=nine-decades} replicates): the expert function
        over split cells falls with {span SS,SL,LS,LL,QQ expert table=nine-decades} under SS, SL, LS, LL and QQ, and all
        {all_agree SS|SL,SS|LS,SS|LL,SS|QQ,SL|LS,SL|LL,SL|QQ,LS|LL,LS|QQ,LL|QQ expert table=nine-decades} paired
        differences
        ... omega falls with {rate SS omega table=nine-decades} under SS and {rate LL omega table=nine-decades} under LL
        (derived {derived SS omega table=nine-decades} and {derived LL omega table=nine-decades}), the mean of eta over
        the cell with {rate SS mean-eta table=nine-decades} and {rate LL mean-eta table=nine-decades} (derived
        {derived SS mean-eta table=nine-decades} and {derived LL mean-eta table=nine-decades}).
        ... (`many-truths`, {reach table=many-truths}): SS and LL are apart by {apart SS LL omega table=many-truths} in
        omega, by {apart SS LL mean-eta table=many-truths} in the mean of eta, and by
        {apart SS LL expert table=many-truths} in the expert function. On data of a softmax truth (`same-data-softmax`)
        LL, which is wrong, has an error of the expert function of
        {error_interval LL expert 1e4 table=same-data-softmax} at 1e4 rows where SS has
        {error_interval SS expert 1e4 table=same-data-softmax}.
        ... (`classes`): the expert function over split cells falls with {rate SS expert table=classes} under SS and
        {rate LL expert table=classes} under LL, derived {derived SS,LL expert table=classes}.
        ... (`over-by-one`, {reach table=over-by-one}, {replicates table=over-by-one} replicates), omega falls with
        alpha {rate SS omega table=over-by-one} under SS and {rate LS omega table=over-by-one} under LS (derived
        {derived SS,LS omega table=over-by-one}, published {published SS,LS omega table=over-by-one}), with
        {rate SL omega table=over-by-one} under SL and {rate LL omega table=over-by-one} under LL (derived
        {derived SL,LL omega table=over-by-one}, published {published SL omega table=over-by-one} and
        {published LL omega table=over-by-one}). On the same data SS and LL differ by
        {apart SS LL omega table=over-by-one}, SS and LS by {apart SS LS omega table=over-by-one}, SL and LL by
        {apart SL LL omega table=over-by-one}.
        ... (`million`, to n = {last table=million}): the mean of eta over the cell falls with
        {rate SS mean-eta table=million} under SS and {rate LL mean-eta table=million} under LL (derived
        {derived SS mean-eta table=million} and {derived LL mean-eta table=million}), a difference of
        {apart SS LL mean-eta table=million}; to n = 1e5 it is {apart SS LL mean-eta table=over-by-one}. omega:
        {rate SS omega table=million} and {rate LL omega table=million}.
        ... (`unidentified`): the mean of eta over the cell falls with
        {rate SS mean-eta table=unidentified} under SS and {rate LL mean-eta table=unidentified} under LL, derived
        {derived SS mean-eta table=unidentified} and {derived LL mean-eta table=unidentified}. It does not slow the
        experts as functions (`unidentified-far`): these fall with {rate SS expert table=unidentified-far} and
        {rate LL expert table=unidentified-far}.
        ... the error of the expert function over split cells falls with {span SS,SL,LS,LL expert table=over-by-one}
        under SS, SL, LS and LL, and is {error_span SS,SL,LS,LL expert 1e5 table=over-by-one} at n = 1e5; all
        {all_hold SS|SL,SS|LS,SS|LL,SL|LS,SL|LL,LS|LL expert table=over-by-one} paired differences hold 0.
        ... omega under SS falls with {alpha SS omega table=box}, {alpha over-by-one:SS omega table=box} and
        {alpha box-wide:SS omega table=box} in boxes on beta
        ... {ends_elsewhere} ends elsewhere, and all
        {all_hold search:SS|over-by-one:SS,search:LL|over-by-one:LL parameters mean,median,q90 table=search} paired
        differences
        ... less that of SS is {differs all SL 2,2 log_loss table=applied-tables},
        {differs all LS 2,2 log_loss table=applied-tables} and {differs all LL 2,2 log_loss table=applied-tables} nats a
        row, and {said_of all SL,LS,LL 2,2 log_loss table=applied-tables} of 0.05.
        ... {certified}
    """,
    "Rows that count for many": """
        ... the lattice of C2 has {points C2 SS} points under SS and {points C2 LL} under LL, that of P2 (d = 2)
        {points P2 SS} and {points P2 LL}; of 1e12 rows some {drawn} of
        the points get any.
    """,
    "How a fit is made sure of": """
        ... for {optimum_sets} over-specified data sets
        ... it comes up to a fit with 200 starts, to within 0.01 in log-likelihood, {as_good_as_200 start} times from
        the truth and {as_good_as_200 data} times from its own starts, in {optimum_seconds} s at the median; to the best
        optimum that any search has ever found, {optimum_found start} and {optimum_found data} times. The misses are
        {optimum_misses} units below.
        ... On {spurious sets} samples of known truths (`benchmarks/spurious.csv`) {none_doubted} exact fits is doubted,
        ... Of {spurious sets over} fits with an expert or two too many, {spurious passed_over over} had better starts
        set aside; {spurious sound over} are sound, of which {spurious missed over} still hold an expert of less than a
        tenth of the smallest true variance; {spurious doubted over} find nothing that is.
    """,
}
CLAIMS |= {f"README: {title}": text for title, text in README.items()}
SIZE, SETTING = "a size of samples", "a setting"
HISTORY = "no table has what was before it"
DECLARED = {
    "": {
        "95 % intervals": "of all tables",
        "7.2 inches, in 8 pt, 6 pt where": "of the look",
        "`over-by-one` (20, then 40) and `million` (3, then 20)": HISTORY,
        "up to 1e5 rows, as a comparison of which no table is kept": HISTORY,
    },
    "over-by-one": {"level 1": "of the model", "share level 2": "of the model"},
    "nine-decades": {
        "level 1": "of the model",
        "to within 0.05, with": "the margin of equivalence",
        "with 0 to within 0.05": "the margin of equivalence",
        "error to 0.1, SS": "what is asked",
        "to 0.2 ": "what is asked",
        "within 0.03 of their limits": "what is asked",
    },
    "search": {"0.9 quantiles": "a statistic"},
    "unidentified-far": {
        "expert function to 0.1, SS": "what is asked",
        "LL, to 0.05 ": "what is asked",
        "within 500 iterations": "declared",
    },
    "unidentified": {"(0.55, in a run that is not kept)": HISTORY},
    "box, box-wide": {
        "beta within 0.75, 1.5 and 3;": "declared boxes",
        "(of 1.5:": "a declared box",
        "in boxes of 0.75, 1.5 and 3 ": "declared boxes",
    },
    "plane": {"(d = 2)": "of the model", "for d = 2": "of the model"},
    "reproduction, reproduction-em": {
        "arXiv 2305.03288": "a name",
        "covariates on a grid over [0, 1]": "declared",
    },
    "README: Standard errors, intervals, predictions": {
        "95 % intervals": "the level",
        "n = 5000": SIZE,
        "n = 500": SIZE,
    },
    "README: What came out so far": {
        "with 0 to within 0.05": "the margin of equivalence",
        "95 % intervals": "of all tables",
        "level 1": "of the model",
        "boxes on beta of 0.75, 1.5 and 3": "declared boxes",
        "24 starts instead of 12": "declared",
        "of 0.05. No": "the margin",
    },
    "README: Rows that count for many": {"0.04": SETTING, "1e-3": SETTING, "1 and 2": SETTING, "d = 2": SETTING},
    "README: How a fit is made sure of": {
        "80 starts": SETTING,
        "200, and": SETTING,
        "takes 12": SETTING,
        "below 40": SETTING,
        "25 of each gating, n = 10,000": "the data sets",
        "200 starts, to within 0.01": SETTING,
        "2d + 3": "a number of parameters",
    },
    "applied-images": {
        "8 x 8 pixels": "the data",
        "900 rows fitted and 897 judged": "declared",
        "(2, 2)": "a size",
        "(3, 3)": "a size",
    },
    "applied-tables": {"(2, 2)": "a size", "0.05 nats": "the margin"},
    "applied-domains": {
        "(2, 2, 2)": "a size",
        "level 1": "of the model",
        "above the 2.30 of": "the logarithm of ten",
    },
    "applied-units": {
        "0.1, 1 and 10": "declared units",
        "3 per standard deviation": SETTING,
        "1 per unit of x": SETTING,
        "(2, 2)": "a size",
    },
    "applied-sample-size": {
        "error of 0.03": "what is asked",
        "for 0.01 it": "what is asked",
        "error of 0.2,": "what is asked",
        "for 0.1.": "what is asked",
        "level 2": "of the model",
    },
    "many-truths": {"at least 3 standard deviations apart": "of the truths"},
    "classes": {"gates see x^2": "of the gate"},
    "classes-constant": {"arXiv 2310.14188": "a paper"},
    "coverage": {"Do 95 % intervals hold the truth in 95 % of cases": "the level", "n = 5000": SIZE, "n = 500": SIZE},
}


# -- the test ---------------------------------------------------------------------------------------------------------
PARAMETRIC = "n^(-1/2)"
NUMERAL = re.compile(r"(?<![\w.-])-?(?:\d+(?:,\d{3})*(?:\.\d+)?|\.\d+)(?:e\d+)?(?:/\d+)?(?!\w)")


def flat(text):
    return " ".join(text.split())


def whole(fragment):
    """A pattern for it, that begins and ends within no word or number."""
    before, after = (r"(?<![\w.])" * fragment[:1].isalnum(), r"(?!\w|\.\d)" * fragment[-1:].isalnum())
    return re.compile(before + re.escape(fragment) + after)


@functools.cache
def sections():
    found, readme = (split_up(folder / "README.md") for folder in (claims.FIGURES, claims.ROOT))
    return found | {f"README: {title}": text for title, text in readme.items() if title in README}


def split_up(file):
    """Title -> text, of which code is no part."""
    text = re.sub(r"^```.*?^```", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    head, *parts = re.split(r"^## ", text, flags=re.MULTILINE)
    return {"": flat(head)} | {title: flat(text) for title, text in (part.split("\n", 1) for part in parts)}


@functools.cache
def sizes_that_are():
    """The sample sizes of all studies, as they are written."""
    return {claims.size(n) for study in claims.STUDIES for n in set(claims.read(study, "curves")["n"])}


def filled(of, text):
    """Fragments, each a list of texts: as they stand in `CLAIMS`, and what came into a field, in turn."""
    for fragment in flat(text).split("..."):
        parts = re.split(r"\{(.*?)\}", fragment.strip())
        for number in range(1, len(parts), 2):
            name, *words = parts[number].split()
            options = dict(word.split("=") for word in words if "=" in word)
            words = [word for word in words if "=" not in word]
            parts[number] = getattr(claims, name)(options.pop("table", of), *words, **options)
        yield parts


@pytest.mark.parametrize("title", sections())
def test_every_number_is_that_of_the_tables(title):
    text, at, traced = sections()[title], 0, []
    for parts in filled(title.split(",")[0], CLAIMS.get(title, "")):
        fragment = "".join(parts)
        found, begin = whole(fragment).search(text, at), max(text.find(parts[0], at), at)
        assert found, f"the tables say\n{fragment}\nand the text\n{text[begin : begin + len(fragment) + 99]}"
        at = found.start()
        for k, part in enumerate(parts):
            traced += [(at, at + len(part))] if k % 2 else []
            at += len(part)
    left = list(text)
    for low, high in traced:
        left[low:high] = "_" * (high - low)
    left = "".join(left).replace(PARAMETRIC, "_")
    for fragment in DECLARED.get(title, {}):
        assert fragment in left, f"no longer in the text: {fragment}"
        left = left.replace(fragment, "_")
    numerals = set(NUMERAL.findall(left)) - {"0"} - sizes_that_are()
    assert not numerals, f"of no table: {numerals}\n{left}"
